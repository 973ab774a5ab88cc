"""Ages, sizes and counts as text, and user data that can never style a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.text.format import age, clipped, count, printable, size


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
