"""The list of profiles: a window of them around the cursor, the one with the newest entry first."""

from collections.abc import Sequence
from functools import partial

from recorder.model.reports import ProfileCount
from tui.browser.directory import Page
from tui.browser.gateway_profiles import Collected, ProfilesGateway
from tui.browser.widgets.lines import Cell, Lines
from tui.browser.work import Asking
from tui.text.cells import fitted
from tui.text.standpoint import owner_of

__all__ = ["ProfileList"]

_AROUND = 200  # profiles loaded on either side of the cursor
_NEAR = 60  # rows from the end of what is loaded at which more is asked for


class ProfileList(Lines[ProfileCount], Asking):
    """Profiles and the number of their entries. Ids are collected in a thread, a slice of the journal at a time."""

    def __init__(self, gateway: ProfilesGateway) -> None:
        super().__init__("profile-list")
        self._gateway = gateway
        self.page_now = Page()
        self.search = ""
        self.collected = Collected(0, 0)
        self._stale = False  # the page is to be read once more, after the one that is being read

    # --- ids

    def collect(self) -> None:
        """Look at new entries, and go on with older ones."""
        self.ask(self._gateway.collect, self._show_collected, group="collect", once=True)

    def _show_collected(self, collected: Collected) -> None:
        self.collected = collected
        if collected.found or collected.anew or not self.page_now.known:
            self.load()
        self.refresh()
        if not collected.complete:
            self.collect()

    # --- pages

    def load(self, *, first: bool = False, last: bool = False) -> None:
        """Read the profiles around the cursor again, or the first or last ones."""
        if self.waits_for("page") and not first and not last:
            self._stale = True
            return
        self._stale = False
        gateway, search = self._gateway, self.search
        at = self.current if not first and (self.cursor or self.page_now.more_above) else None

        def job() -> Page:
            latest = gateway.latest(at.profile, at.group_key) if at is not None else None
            return gateway.page(latest, limit=_AROUND, search=search, last=last)

        self.ask(job, partial(self._show_page, stay=at is not None, last=last), group="page")

    def _show_page(self, page: Page, *, stay: bool, last: bool) -> None:
        here = self.current
        self.page_now, self.rows = page, page.rows
        if last:
            self.put(len(page.rows) - 1)
        else:
            self.put(self._place(here) if stay and here is not None else self.cursor)
        if self._stale:
            self.load()

    def _place(self, wanted: ProfileCount) -> int:
        name = (wanted.profile, wanted.group_key)
        places = (place for place, row in enumerate(self.rows) if (row.profile, row.group_key) == name)
        return next(places, self.cursor)

    def search_for(self, text: str) -> None:
        """Show only profiles with this text in their id or group key."""
        if text != self.search:
            self.search = text
            self.first()

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
        """Return the number of profiles, and of how many ids were collected."""
        del width
        known, progress = self.page_now.known, self.collected
        share = "" if progress.complete else f" …{progress.looked_at * 100 // max(progress.recorded, 1)} %"
        many = f"{self.page_now.matching:,} of {known:,}" if self.search else f"{known:,}"
        return f" PROFILES {many}{share}"

    def nothing(self) -> str:
        """Return why there are no rows."""
        if not self.collected.complete or self.waits_for("page"):
            return " …"
        known = self.page_now.known
        return f" 0 of {known:,} profiles match,\n esc clears" if known else " No profile yet."

    def cells(self, place: int, width: int) -> Sequence[Cell]:
        """Return the profile, and the number of its entries."""
        row = self.rows[place]
        entries = f" {row.entries:,}"
        owner = fitted(owner_of(row.profile, row.group_key), width - len(entries))
        return (owner, ""), (entries, "$text-muted")
