"""`to_test`: the text stands alone, runs, passes, and fails when anything else comes out."""

import ast
import re

import pytest
from hypothesis import given

from simulator import Dialect
from simulator.testing import strategies, to_test
from tests.simulator.testing.models import RemoveFirst


def run(text, name="test_history", **replaced):
    namespace = {}
    exec(compile(text, "a_test.py", "exec"), namespace)  # noqa: S102  # it is a test's text
    namespace.update(replaced)
    namespace[name]()


@given(strategies.histories(messages=strategies.messages(max_operators=2, groups=True)))
def test_text_of_history_passes(history):
    text = to_test(history)
    run(text)
    ast.parse(text)


def test_text_fails_on_other_result():
    history = [{"$distinct_id": "u1", "$set": {"a": [1, 1]}}, {"$distinct_id": "u1", "$remove": {"a": 1}}]

    run(to_test(history))
    with pytest.raises(AssertionError, match=r"\+ a\[0\]: 1"):
        run(to_test(history), Simulator=RemoveFirst)


def test_text_expects_rejections():
    text = to_test([{"$distinct_id": "u1", "$unset": "a"}, 7, {"$set": {}}])
    assert "assert len(simulator.rejected) == 3" in text
    run(text)


def test_text_expects_deleted_profiles():
    text = to_test(
        [
            {"$distinct_id": "u1", "$set": {}},
            {"$distinct_id": "u1", "$delete": ""},
            {"$group_key": "company", "$group_id": 7, "$delete": ""},
        ]
    )
    assert "assert_absent(simulator, 'u1')\n" in text
    assert "assert_absent(simulator, '7', group_key='company')\n" in text
    run(text)


def test_policies_are_written_out():
    dialect = Dialect(emptied_list="unset", creating=frozenset({"$set"}))
    history = [{"$distinct_id": "u1", "$append": {"a": 1}}, {"$distinct_id": "u1", "$set": {"a": []}}]
    text = to_test(history, dialect=dialect)
    assert "Simulator(Dialect(emptied_list='unset', creating=frozenset(['$set'])))" in text
    run(text)
    assert "Dialect" not in to_test(history, dialect=Dialect())


def test_text_escapes_look_alikes():
    text = to_test([{"$distinct_id": "Zo\u00eb", "$set": {"e\u0301": "\u202e\x1b[31m", "n": -0.0}}])
    assert "'e\\u0301'" in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "Zo\u00eb" in text  # on a line of its own: what is plain stays plain
    run(text)


def test_long_calls_are_broken_into_lines():
    text = to_test(
        [{"$distinct_id": "u1", "$set": {f"name{n}": "value " * 9 for n in range(9)}}], name="test_wide"
    )
    assert max(map(len, text.splitlines())) <= 110
    run(text, "test_wide")


def test_invalid_name_or_value_is_refused():
    with pytest.raises(ValueError, match="'my test' cannot be a test's name"):
        to_test([], name="my test")
    with pytest.raises(ValueError, match="'class' cannot be a test's name"):
        to_test([], name="class")
    with pytest.raises(ValueError, match="message 1 is not made of JSON values"):
        to_test([{"$distinct_id": "u1", "$set": {"a": float("nan")}}])


def test_text_of_empty_history_passes():
    text = to_test([])
    run(text)
    assert re.findall(r"import (.*)", text) == ["Simulator"]
