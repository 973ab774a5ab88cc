"""Marks against sets."""

from hypothesis import given
from hypothesis import strategies as st

from tui.text.marks import Marks, numbered

SETS = st.sets(st.integers(1, 40))


def marks(numbers):
    return Marks((number, number) for number in sorted(numbers))


@given(SETS, SETS, st.integers(1, 40))
def test_marks_are_a_set(some, others, number):
    made = marks(some)
    assert ({n for n in range(50) if n in made}, len(made)) == (some, len(some))
    assert list(made.toggled(number).runs()) == list(marks(some ^ {number}).runs())
    assert list(made.with_runs(marks(others).runs()).runs()) == list(marks(some | others).runs())
    assert made.common(marks(others).runs()) == len(some & others)


def test_million_marks_are_one_run():
    assert list(Marks((first, first + 19_999) for first in range(1, 1_000_001, 20_000)).runs()) == [
        (1, 1_000_000)
    ]


def test_filter_takes_few_ranges():
    filters = numbered(range(1, 2_000, 2))
    assert [words[0].count(",") for words in filters] == [499, 499]
