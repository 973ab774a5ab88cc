"""Layout of the journal at every width."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from recorder import State
from tui.text.cells import middle_cut
from tui.text.columns import columns_for, detail_place, detail_size
from tui.text.rows import Row

PIECES = ["visitor-", "é", "e\u0301", "名", "👩\u200d👩\u200d👧", "🇳🇴", "👍🏽", "\u0634\u0628", "नमस्ते"]
WIDTHS = range(60, 201)


def widths(window, highest, *, shown):
    """The columns of a window, and the detail's cells."""
    place = detail_place(window, 30, shown=shown, entered=False)
    detail, _ = detail_size(place, window, 30, entered=False)
    columns = columns_for(window - (detail if place == "beside" else 0), highest)
    return columns.seq, columns.age, columns.state, columns.owner, columns.summary


@pytest.mark.parametrize("highest", [40, 1_234_567])
@pytest.mark.parametrize("shown", [False, True, None])
def test_wider_window_shows_no_less(highest, shown):
    """Each column, cell by cell. At 140 the detail comes beside the table: what 80 cells show stays."""
    for before, width in pairwise(WIDTHS):
        narrower, wider = (widths(window, highest, shown=shown) for window in (before, width))
        least = widths(80, highest, shown=False) if width == 140 and shown is not False else narrower
        assert all(less <= more for less, more in zip(least, wider, strict=True)), (width, narrower, wider)
        assert all(wider)


def test_row_fills_its_width():
    row = Row(1_234_567, 0.0, "visitor-0123456789-abcdefgh-070", "s" * 200, State.IN_DOUBT, " x2 late")
    for width in (40, *WIDTHS):
        columns = columns_for(width, 1_234_567)
        assert cell_len("".join(columns.cells(row, 90.0, mark="►"))) <= width
        assert "? in doubt x2" in columns.cells(row, 90.0, mark="►")[1], width
        assert columns.heads().index("STATE") == len(columns.cells(row, 90.0, mark=" ")[0]) + 2, width


@given(
    st.lists(st.sampled_from(PIECES) | st.characters(codec="utf-8", exclude_categories=["C"])),
    st.integers(0, 30),
)
def test_middle_cut_fits_its_width(pieces, width):
    text = "".join(pieces)
    cut = middle_cut(text, width)
    assert cell_len(cut) <= width
    assert cut == text if cell_len(text) <= width else width == 0 or "…" in cut


@pytest.mark.parametrize("piece", PIECES[1:7])
def test_middle_cut_keeps_letters_whole(piece):
    for width in range(1, 20):
        begin, _, end = middle_cut(piece * 20, width).partition("…")
        assert begin == piece * (len(begin) // len(piece))
        assert end == piece * (len(end) // len(piece))
