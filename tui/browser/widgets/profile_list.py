"""The list of profiles: a window of them around the cursor, the one with the newest entry first."""

from collections.abc import Sequence
from functools import partial
from itertools import accumulate

from rich.cells import cell_len

from recorder import State
from tui.browser.directory import ORDERS, STATES, Listed, Page
from tui.browser.gateway_profiles import Collected, ProfilesGateway
from tui.browser.widgets.lines import Cell, Lines
from tui.browser.work import Asking, stopped
from tui.text.cells import fitted, middle_cut
from tui.text.standpoint import owner_of
from tui.text.states import LOOKS, MUTED

__all__ = ["ProfileList", "marks_of"]

_AROUND = 200  # profiles loaded on either side of the cursor
_NEAR = 60  # rows from the end of what is loaded at which more is asked for


class ProfileList(Lines[Listed], Asking):
    """Profiles and the number of their entries. Ids are collected in a thread, a slice of the journal at a time."""

    def __init__(self, gateway: ProfilesGateway) -> None:
        super().__init__("profile-list")
        self._gateway = gateway
        self.page_now = Page()
        self.search = ""
        self.order, self.reverse = ORDERS[0], False
        self.collected = Collected(0, 0, pruned=False)
        self._stale = False  # the page is to be read once more, after the one that is being read

    # --- ids

    def collect(self) -> None:
        """Look at new entries, and go on with older ones."""
        self.ask(self._gateway.collect, self._show_collected, group="collect", about="now")

    def _show_collected(self, collected: Collected) -> None:
        before, self.collected = self.collected, collected
        if collected.revision != before.revision or not self.page_now.known:
            self.load()
        self.refresh()
        if not collected.complete:
            self.collect()
        else:
            self.ask(
                partial(self._gateway.count_states, stopped), self._show_counted, group="states", about="now"
            )

    def _show_counted(self, counted: bool) -> None:
        if counted:
            self.load()

    # --- pages

    def load(self, *, first: bool = False, last: bool = False) -> None:
        """Read the profiles around the cursor again, or the first or last ones."""
        if self.waits_for("page") and not first and not last:
            self._stale = True
            return
        self._stale = False
        middle = not first and not last and (self.cursor or self.page_now.more_above)
        at = self.current if middle else None
        job = partial(
            self._gateway.page,
            (at.profile, at.group_key) if at is not None else None,
            limit=_AROUND,
            search=self.search,
            order=self.order,
            reverse=self.reverse,
            last=last,
        )
        show = partial(self._show_page, stay=at is not None, last=last)
        self.ask(job, show, group="page", words="Searching" if self.search else "")

    def _show_page(self, page: Page, *, stay: bool, last: bool) -> None:
        here = self.current
        self.page_now, self.rows = page, page.rows
        if last:
            self.put(len(page.rows) - 1)
        else:
            self.put(self._place(here) if stay and here is not None else self.cursor)
        if self._stale:
            self.load()

    def _place(self, wanted: Listed) -> int:
        name = (wanted.profile, wanted.group_key)
        places = (place for place, row in enumerate(self.rows) if (row.profile, row.group_key) == name)
        return next(places, self.cursor)

    def search_for(self, text: str) -> None:
        """Show only profiles with this text in their id or group key."""
        if text != self.search:
            self.search = text
            self.first()

    def sort(self, by: int = 0) -> None:
        """Take another order, or with 0 turn it round; the cursor stays on its profile."""
        if by:
            self.order = ORDERS[(ORDERS.index(self.order) + by) % len(ORDERS)]
        self.reverse = not by and not self.reverse
        self.load()

    # --- moving

    def put(self, place: int) -> None:
        """Put the cursor on a row; load more if the end of what is loaded is near."""
        super().put(place)
        page = self.page_now
        below = page.more_below and self.cursor > len(page.rows) - _NEAR
        if below or (page.more_above and self.cursor < _NEAR):
            self.load()

    def first(self) -> None:
        """Put the cursor on the profile with the newest entry."""
        self.cursor = 0
        self.load(first=True)

    def last(self) -> None:
        """Put the cursor on the profile that had no entry for longest."""
        self.load(last=True)

    # --- drawing

    def heads(self, width: int) -> str:
        """Return the number of profiles, of how many ids were collected, and the order."""
        known, progress = self.page_now.known, self.collected
        share = "" if progress.complete else f" …{progress.looked_at * 100 // max(progress.recorded, 1)} %"
        many = f"{self.page_now.matching:,} of {known:,}" if self.search else f"{known:,}"
        left = f" PROFILES {many}{share}"
        order = f" {self.order.name} {'▲' if self.order.down == self.reverse else '▼'}"
        return left + fitted(order, width - len(left), right=True)

    def nothing(self) -> str:
        """Return why there are no rows."""
        if not self.collected.complete or self.waits_for("page"):
            return " …"
        known = self.page_now.known
        return f" 0 of {known:,} profiles match,\n esc clears" if known else " No profile yet."

    def cells(self, place: int, width: int) -> Sequence[Cell]:
        """Return the profile, how its entries stand, and the number of all."""
        row = self.rows[place]
        entries = f" {row.entries:>5,}"
        owner = owner_of(row.profile, row.group_key)
        space = width - len(entries)
        marks = marks_of(row, space - min(cell_len(owner), 12))
        space -= sum(cell_len(text) for text, _ in marks)
        return (fitted(middle_cut(owner, space), space), ""), *marks, (entries, MUTED)


def marks_of(row: Listed, width: int) -> list[Cell]:
    """Return how a profile's entries stand, the most urgent first, as far as there is space.

    >>> row = Listed("ada", None, entries=20, latest=20, in_doubt=2, pending=1_204)
    >>> for width in (40, 20, 6):
    ...     print("".join(text for text, _ in marks_of(row, width)))
      2 in doubt  1,204 pending
      2 in doubt
     ?2
    """
    found = [(LOOKS[State(name)], getattr(row, name)) for name in STATES if getattr(row, name)]
    marks = [(f"  {number:,} {look.word}", look.style) for look, number in found]
    if row.deleted:
        marks.append(("  deleted", MUTED))
    ends = accumulate(len(text) for text, _ in marks)
    fitting = [mark for mark, end in zip(marks, ends, strict=True) if end <= width]
    return fitting or [(f" {look.glyph}{number:,}", look.style) for look, number in found[:1]]
