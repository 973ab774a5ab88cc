"""`difference` and `describe`: what changed, by spelling, and that a reader can see it."""

import json
import unicodedata
from copy import deepcopy

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recorder.model.json_value import same_spelling
from recorder.model.text import printable
from simulator import ABSENT, Change, Simulator, describe, difference

# What Python's == takes for one, and strings that look alike.
TWINS = st.sampled_from(
    [None, True, False, 0, 0.0, -0.0, 1, 1.0, 2, "", "a", "a ", " a", "\u0430", "\u00e9", "e\u0301"]
)
VALUES = st.recursive(
    TWINS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=12,
)
STATES = st.none() | st.dictionaries(st.sampled_from(["a", "b", "", "$transactions"]), VALUES, max_size=4)


def applied(before, changes):
    """The state that the changes make of another one: what is removed goes by its place before, from the end."""
    state = deepcopy(before)
    lists = [change for change in changes if change.path and isinstance(change.path[-1], int)]
    removed = sorted(
        (change for change in lists if change.after is ABSENT), key=lambda change: change.path, reverse=True
    )
    others = [change for change in changes if not any(change is gone for gone in removed)]
    for change in [*removed, *others]:
        if not change.path:
            state = None if change.after is ABSENT else deepcopy(change.after)
            continue
        *way, last = change.path
        holder = state
        for part in way:
            holder = holder[part]
        if change.after is ABSENT:
            del holder[last]
        elif change.before is ABSENT and isinstance(holder, list):
            holder.insert(last, deepcopy(change.after))
        else:
            holder[last] = deepcopy(change.after)
    return state


def related(state):
    """States, and what a few edits make of them: most have something in common."""
    return st.tuples(st.just(state), STATES | edited(state))


@st.composite
def edited(draw, state):
    other = deepcopy(state) if state is not None else {}
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from(["a", "b"]))
        value = other.get(name)
        if isinstance(value, list) and value:
            place = draw(st.integers(0, len(value)))
            value[place : place + draw(st.integers(0, 2))] = draw(st.lists(VALUES, max_size=2))
        else:
            other[name] = draw(VALUES)
    return other


PAIRS = STATES.flatmap(related)


@given(PAIRS)
@example(({"a": [1, 2, 3, 4, 5]}, {"a": [2, 4]}))
@example(({"a": [2, 4]}, {"a": [1, 2, 3, 4, 5]}))
@example(({"a": [1, 1.0, True, 1]}, {"a": [1.0, 1]}))
@example(({"a": [[1], [2], [3]]}, {"a": [[1], [2.0, 2], [3]]}))
def test_changes_turn_before_into_after(pair):
    before, after = pair
    assert same_spelling(applied(before, difference(before, after)), after)


@given(PAIRS)
def test_difference_is_empty_for_equal_spelling(pair):
    before, after = pair
    assert (difference(before, after) == ()) is same_spelling(before, after)
    assert difference(before, deepcopy(before)) == ()


@given(PAIRS)
def test_reverse_difference_mirrors_changes(pair):
    before, after = pair

    def spelled(changes):
        return sorted(repr(change) for change in changes)

    back = [Change(change.path, change.after, change.before) for change in difference(after, before)]
    assert spelled(back) == spelled(difference(before, after))


@given(PAIRS)
def test_changes_are_real_and_arguments_kept(pair):
    before, after = pair
    spelled = repr(pair)
    changes = difference(before, after)
    for change in changes:
        assert not same_spelling(change.before, change.after)
        for value in (change.before, change.after):
            if isinstance(value, list):
                value.append("late")
            elif isinstance(value, dict):
                value["late"] = 1
    assert repr(pair) == spelled


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"n": 1}, {"n": 1.0}, [(("n",), 1, 1.0)]),
        ({"n": 1}, {"n": True}, [(("n",), 1, True)]),
        ({"n": 0.0}, {"n": -0.0}, [(("n",), 0.0, -0.0)]),
        ({"n": None}, {}, [(("n",), None, ABSENT)]),
        ({}, {"n": None}, [(("n",), ABSENT, None)]),
        ({"o": {"x": 1, "y": {"z": 2}}}, {"o": {"y": {"z": 3}, "x": 1}}, [(("o", "y", "z"), 2, 3)]),
        ({"o": {"x": 1}}, {"o": [1]}, [(("o",), {"x": 1}, [1])]),
        ({"l": [1, {"x": 1}, 3]}, {"l": [1, {"x": 2}, 3]}, [(("l", 1, "x"), 1, 2)]),
        ({"l": [1, 2]}, {"l": [1, 2, 3]}, [(("l", 2), ABSENT, 3)]),
        ({"l": ["a", "b", "c"]}, {"l": ["b", "c"]}, [(("l", 0), "a", ABSENT)]),
        ({"l": ["a", "b", "a", "c"]}, {"l": ["b", "c"]}, [(("l", 0), "a", ABSENT), (("l", 2), "a", ABSENT)]),
        ({"l": [1, 3]}, {"l": [0, 1, 2, 3, 4]}, [(("l", n), ABSENT, n) for n in (0, 2, 4)]),
        (
            {"l": ["a", "x", "c"]},
            {"l": ["a", "y", "z", "c"]},
            [(("l", 1), "x", ABSENT), (("l", 1), ABSENT, "y"), (("l", 2), ABSENT, "z")],
        ),
        ({"l": []}, {}, [(("l",), [], ABSENT)]),
        (None, {}, [((), ABSENT, {})]),
        ({"n": 1}, None, [((), {"n": 1}, ABSENT)]),
        (None, None, []),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
    ],
)
def test_each_change_stands_at_its_place(before, after, expected):
    changes = difference(before, after)
    assert repr(changes) == repr(tuple(Change(*change) for change in expected))


def test_difference_takes_profiles():
    simulator = Simulator()
    simulator.people_set("ada", {"l": [1]})
    before = simulator.profile("ada")
    simulator.people_append("ada", {"l": 2})
    assert difference(before, simulator.profile("ada")) == (Change(("l", 1), ABSENT, 2),)
    assert difference(None, before) == (Change((), ABSENT, {"l": [1]}),)


def test_long_lists_take_linear_time():
    """A second pass for each element would take minutes."""
    numbers = [[n] for n in range(20_000)]
    kept = [n for n in numbers if n[0] % 3]
    assert len(difference({"l": numbers}, {"l": kept})) == 20_000 - len(kept)
    assert len(difference({"l": numbers}, {"l": [[n[0] + 0.5] for n in numbers]})) == 20_000
    assert len(difference({"l": numbers}, {"l": [["x"], *numbers, ["y"]]})) == 2
    assert len(difference({"l": numbers}, {"l": numbers[::-1][1:]})) == 39_999 - 2


def test_deep_values_are_compared():
    def lists(levels, inner):
        return json.loads("[" * levels + inner + "]" * levels)

    assert difference({"l": lists(100, "1")}, {"l": lists(100, "1.0")}) == (
        Change(("l", *[0] * 100), 1, 1.0),
    )


# --- in words -------------------------------------------------------------------------------------


def said(before, after):
    return describe(difference(before, after))


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ({"visits": 1}, {"visits": 2}, "visits: 1 → 2"),
        ({"visits": 1}, {"visits": 1.0}, "visits: 1 (integer) → 1.0 (float)"),
        ({"visits": 1}, {"visits": True}, "visits: 1 (integer) → true (boolean)"),
        ({"visits": False}, {"visits": 0.0}, "visits: false (boolean) → 0.0 (float)"),
        ({"x": 0.0}, {"x": -0.0}, "x: 0.0 (float) → -0.0 (float)"),
        ({"x": [0, {"y": 1}]}, {"x": [0, {"y": 1.0}]}, "x[1].y: 1 (integer) → 1.0 (float)"),
        ({"x": 1}, {"x": "1"}, 'x: 1 → "1"'),
        ({"x": None}, {"x": "null"}, 'x: null → "null"'),
        ({"x": [1]}, {"x": {"y": [True, None]}}, 'x: [1] → {"y": [true, null]}'),
        ({}, {"plan": "pro"}, '+ plan: "pro"'),
        ({"trial": True}, {}, "- trial: true"),
        ({"tags": ["a", "b"]}, {"tags": ["a", "b", "x"]}, '+ tags[2]: "x"'),
        ({}, {"$transactions": [{"$amount": 5}]}, '+ $transactions: [{"$amount": 5}]'),
        ({}, {"first name": 1}, '+ "first name": 1'),
        ({}, {"": 1}, '+ "": 1'),
        ({"a": {"b.c": 1}}, {"a": {"b.c": 2}}, 'a."b.c": 1 → 2'),
        ({"a.b": 1}, {"a.b": 2}, '"a.b": 1 → 2'),
        ({}, {"größe": 1}, '+ "größe": 1'),
        (None, {"a": 1, "b": [2]}, "profile created\n+ a: 1\n+ b: [2]"),
        ({"a": 1}, None, "profile deleted\n- a: 1"),
        (None, {}, "profile created"),
        ({"a": 1}, {"a": 1}, ""),
        ({"city": "Oslo"}, {"city": "Zürich"}, 'city: "Oslo" → "Zürich"'),
    ],
)
def test_changes_read_like_this(before, after, text):
    assert said(before, after) == text


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ("caf\u00e9", "cafe\u0301", r'"café" → "cafe\u0301"'),
        ("pro", "pro ", r'"pro" → "pro\u0020"'),
        ("a b", "a  b", r'"a b" → "a\u0020\u0020b"'),
        ("a b", "a\u00a0b", r'"a b" → "a\u00a0b"'),
        ("ab", "a\u200bb", r'"ab" → "a\u200bb"'),
        ("ab", "a\u202eb", r'"ab" → "a\u202eb"'),
        ("ab", "a\u3164b", r'"ab" → "a\u3164b"'),
        ("Ada", "Ad\u0430", r'"Ada" → "Ad\u0430"'),
        ("\u039d\u039f", "NO", r'"\u039d\u039f" → "NO"'),
        ("\ufb01n", "fin", r'"\ufb01n" → "fin"'),
        ("\u2764", "\u2764\ufe0f", r'"\u2764" → "\u2764\ufe0f"'),
        ("\u212a", "K", r'"\u212a" → "K"'),
        ("a", "\u0301", r'"a" → "\u0301"'),
        ("a\nb", "a\tb", r'"a\nb" → "a\tb"'),
        ("\x7f\x1b[31m", "\x9b31m", r'"\u007f\u001b[31m" → "\u009b31m"'),
        ("\U000e0041", "\ud800", r'"\udb40\udc41" → "\ud800"'),
        ("\\u0041", "A", r'"\\u0041" → "A"'),
        ('"', "'", r'"\"" → "' + "'\""),
    ],
)
def test_what_looks_alike_is_told_apart(before, after, text):
    assert said({"x": before}, {"x": after}) == f"x: {text}"


def test_nested_look_alikes_are_distinguished():
    text = describe([Change(("x",), ["a", {"b": "Ada "}], ["a", {"b": "Ada"}])])
    assert text == r'x: ["a", {"b": "Ada\u0020"}] → ["a", {"b": "Ada"}]'
    assert describe([Change(("x",), [1, {"y": 0}], [True, {"y": 0.0}])]) == (
        'x: [1 (integer), {"y": 0 (integer)}] → [true (boolean), {"y": 0.0 (float)}]'
    )


def test_look_alike_names_are_distinguished():
    text = said({"caf\u00e9": 1, "a": 1, "b": 1}, {"cafe\u0301": 1, "\u0430": 1, "b ": 1})
    assert text.splitlines() == [
        '- "caf\u00e9": 1',
        "- a: 1",
        "- b: 1",
        r'+ "cafe\u0301": 1',
        '+ "\u0430": 1',
        '+ "b ": 1',
    ]


def test_long_value_is_clipped_around_difference():
    common = "x" * 5_000
    text = said({"a": common + "left" + common}, {"a": common + "right" + common})
    assert len(text) < 250
    left, right = text.removeprefix("a: ").split(" → ")
    assert left.startswith("…xxx")
    assert left.endswith("xxx…")
    assert "left" in left
    assert "right" in right


def test_longer_value_shows_its_end():
    text = said({"a": "x" * 500}, {"a": "x" * 501})
    left, right = text.removeprefix("a: ").split(" → ")
    assert left.endswith('x"')
    assert right == left[:-1] + 'x"'


def test_added_value_is_clipped_at_end():
    text = said({}, {"a": ["x" * 30] * 1_000})
    assert text.startswith('+ a: ["xxx')
    assert text.endswith("…")
    assert len(text) < 100


@pytest.mark.parametrize("length", range(50, 90))
def test_clipping_keeps_the_difference(length):
    left, right = said({"a": "y" * length + "L"}, {"a": "y" * length + "R"}).removeprefix("a: ").split(" → ")
    assert "L" in left
    assert "R" in right


LETTERS = st.sampled_from('ab e"\\\n\x1b\x7f\x9b\u00e9\u0301\u0430\u200b\u202e\u3164\ufe0f\U000e0041\ud800…')
TEXTS = st.text(LETTERS, max_size=8) | st.text(max_size=8).filter(lambda text: "→" not in text)
LONG = st.tuples(st.integers(0, 200), TEXTS, st.integers(0, 200)).map(
    lambda parts: "a" * parts[0] + parts[1] + "b" * parts[2]
)
SHOWN = st.recursive(
    TWINS | TEXTS | LONG,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=6,
)


@given(SHOWN, SHOWN)
@example("a…", "a" * 200)
@example([1, "é"], [True, "é"])
def test_changed_values_have_different_texts(before, after):
    if same_spelling(before, after):
        return
    left, right = describe([Change(("x",), before, after)]).removeprefix("x: ").split(" → ")
    assert left != right
    assert unicodedata.normalize("NFC", left) != unicodedata.normalize("NFC", right)
    assert left.split() != right.split()


@given(st.dictionaries(TEXTS, SHOWN, max_size=3), st.none() | st.dictionaries(TEXTS, SHOWN, max_size=3))
def test_descriptions_escape_control_characters(before, after):
    for changes in (difference(before, after), difference(after, before)):
        text = describe(changes)
        assert text.replace("\n", " ") == printable(text.replace("\n", " "))
        assert "\u3164" not in text
        text.encode()
        if before is not None and after is not None:
            assert len(text.splitlines()) == len(changes)


def test_absent_is_a_singleton():
    assert repr(ABSENT) == "ABSENT"
    assert deepcopy(ABSENT) is ABSENT
    assert ABSENT is not None


def test_joiners_show_where_they_differ():
    """A name that is written with one stays itself, unless it looks like the name beside it."""
    joined, plain = "क्\u200dष", "क्ष"
    assert describe(difference(None, {"name": joined})).endswith(f'name: "{joined}"')
    assert "\\u200d" in describe(difference({"name": plain}, {"name": joined}))
