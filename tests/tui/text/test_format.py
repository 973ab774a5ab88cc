"""Ages, sizes and counts as text, and user data that can never style a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder import Entry, State
from recorder.model.operations import Lane
from tui.text.format import age, clipped, count, printable, size, summary


def entry(message, operator):
    return Entry(
        seq=1,
        lane=Lane.PEOPLE,
        group_key=None,
        profile="ada",
        operator=operator,
        message=message,
        recorded_at=0.0,
        state=State.PENDING,
        attempt=None,
        sends=0,
        reason=None,
        possibly_twice=False,
    )


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (0.9, "0 s"),
        (1, "1 s"),
        (59.9, "59 s"),
        (60, "1 m"),
        (3_599, "59 m"),
        (3_600, "1 h"),
        (11_520, "3 h 12 m"),
        (86_399, "23 h 59 m"),
        (86_400, "1 d"),
        (100_000, "1 d 3 h"),
        (400 * 86_400 + 7_200, "400 d"),
    ],
)
def test_age_tells_two_units_at_most(seconds, shown):
    assert age(seconds) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (73_728, "73.7 kB"),
        (12_400_000, "12.4 MB"),
        (5_000_000_000, "5.0 GB"),
        (5_000_000_000_000, "5000.0 GB"),
    ],
)
def test_size_has_one_decimal(number, shown):
    assert size(number) == shown


def test_count_forms_plural():
    assert [count(number, "line") for number in (0, 1, 2, 12_000)] == [
        "0 lines",
        "1 line",
        "2 lines",
        "12,000 lines",
    ]
    assert count(2, "entry", "entries") == "2 entries"


@pytest.mark.parametrize("text", ["", "plain", "Zürich, 日本, Ωμέγα", "[bold]x[/]", "👍 café", "a\\b"])
def test_printable_text_stays_as_it_is(text):
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\tb\nc\r", "a\\tb\\nc\\r"),
        ("\x00\x7f\x9b", "\\x00\\x7f\\x9b"),
        ("\u202egpj.exe\u2066", "\\u202egpj.exe\\u2066"),
        ("pay\u200bpal\ufeff", "pay\\u200bpal\\ufeff"),
        ("a\u2028b\u2029", "a\\u2028b\\u2029"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_printable_spells_controls_out(text, shown):
    assert printable(text) == shown


@given(st.text(st.characters()))
def test_printable_is_harmless_and_idempotent(text):
    shown = printable(text)
    assert all(unicodedata.category(letter)[0] != "C" for letter in shown)
    assert len(shown.splitlines()) <= 1
    assert printable(shown) == shown


@given(st.text(), st.integers(1, 50))
def test_clipped_text_begins_alike(text, length):
    shown = clipped(text, length)
    assert len(shown) <= length
    assert shown == text if len(text) <= length else shown == text[: length - 1] + "…"


@pytest.mark.parametrize(
    ("message", "operator", "shown"),
    [
        ({"$set": {"plan": "pro"}}, "$set", 'plan="pro"'),
        ({"$set": {"plan": "pro", "a": 1, "b": 2}}, "$set", 'plan="pro" (+2)'),
        ({"$set": {}}, "$set", "{}"),
        ({"$add": {"n": 0.1}}, "$add", "n=0.1"),
        ({"$set": {"name": "Zoë"}}, "$set", 'name="Zoë"'),
        ({"$unset": ["plan", "city"]}, "$unset", "plan, city"),
        ({"$delete": ""}, "$delete", ""),
        ({"$delete": None}, "$delete", ""),
        ({"$merge": 0}, "$merge", "0"),
        ({"$merge": False}, "$merge", "false"),
        ({"$merge": [True, None, {"a": 1}]}, "$merge", 'true, null, {"a": 1}'),
        ({"event": "visit", "properties": {}}, None, 'event="visit" (+1)'),
        ({}, None, "{}"),
    ],
)
def test_summary_names_the_first_property(message, operator, shown):
    assert summary(entry(message, operator)) == shown


def test_summary_is_short_and_printable():
    assert summary(entry({"$set": {"a": "x" * 100}}, "$set"), 10) == 'a="xxxxxx…'
    assert summary(entry({"$set": {"\x1b[31m": "\u202e\x07"}}, "$set")) == '\\x1b[31m="\\u202e\\u0007"'


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(JSON, st.integers(1, 80))
def test_summary_is_one_line(payload, length):
    shown = summary(entry({"$distinct_id": "ada", "$merge": payload}, "$merge"), length)
    assert len(shown) <= length
    assert shown.isprintable()
