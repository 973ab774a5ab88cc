"""The list of profiles: a window of them around the cursor, the one with the newest entry first."""

from collections.abc import Sequence

from textual.message import Message

from recorder.model.reports import ProfileCount
from tui.browser.directory import Page
from tui.browser.gateway_profiles import Collected, ProfilesGateway
from tui.browser.widgets.lines import Cell, Lines
from tui.browser.work import ask
from tui.text.standpoint import owner_of

__all__ = ["ProfileList"]

_AROUND = 200  # profiles loaded on either side of the cursor
_NEAR = 60  # rows from the end of what is loaded at which more is asked for


class ProfileList(Lines):
    """Profiles and how many entries each has. Ids are collected in a thread, a slice of the journal at a time."""

    class _Collected(Message):
        def __init__(self, collected: Collected) -> None:
            self.collected = collected
            super().__init__()

    class _Paged(Message):
        def __init__(self, page: Page, search: str, at: ProfileCount | None, *, last: bool) -> None:
            self.page = page
            self.search = search
            self.at = at
            self.last = last
            super().__init__()

    class Changed(Message):
        """Other profiles, or more of them are known."""

    def __init__(self, gateway: ProfilesGateway, *, ascii_only: bool) -> None:
        super().__init__(id="profile-list", ascii_only=ascii_only)
        self._gateway = gateway
        self.page_now = Page()
        self.search = ""
        self.collected = Collected(0, 0)
        self._collecting = False
        self._loading = False
        self._stale = False

    # --- ids

    def collect(self) -> None:
        """Look at new entries, and go on with older ones."""
        if not self._collecting:
            self._collecting = True
            ask(self, self._gateway.collect, self._Collected, group="collect")

    def on_profile_list__collected(self, message: _Collected) -> None:
        """Show what was found, and go on until all is."""
        before, self.collected = self.collected, message.collected
        self._collecting = False
        if message.collected.found or message.collected.anew or not self.page_now.known:
            self.load()
        elif before != self.collected:
            self.post_message(self.Changed())
        if not self.collected.complete:
            self.collect()

    def on_failed(self) -> None:
        """What was read failed; the app says so, and the next change tries again."""
        self._collecting = self._loading = False

    # --- pages

    def load(self, *, last: bool = False) -> None:
        """Read the profiles around the cursor anew."""
        if self._loading and not last:
            self._stale = True  # once more, when what is being read has come
            return
        self._loading, self._stale = True, False
        search, at = self.search, self.current if self.cursor or self.page_now.more_above else None
        gateway = self._gateway

        def job() -> Page:
            latest = gateway.latest(at.profile, at.group_key) if at is not None else None
            return gateway.page(latest, limit=_AROUND, search=search, last=last)

        ask(self, job, lambda page: self._Paged(page, search, at, last=last), group="page")

    def on_profile_list__paged(self, message: _Paged) -> None:
        """Show them; the cursor stays on its profile."""
        self._loading = False
        if message.search != self.search:
            return
        here = self.current
        self.page_now = message.page
        if message.last:
            self.put(len(message.page.rows) - 1)
        elif here is not None and message.at is not None:
            self.put(self._place(here))
        else:
            self.put(self.cursor)
        self.post_message(self.Changed())
        if self._stale:
            self.load()

    def _place(self, wanted: ProfileCount) -> int:
        whose = (wanted.profile, wanted.group_key)
        rows = enumerate(self.page_now.rows)
        return next((place for place, row in rows if (row.profile, row.group_key) == whose), self.cursor)

    @property
    def current(self) -> ProfileCount | None:
        """The profile under the cursor."""
        rows = self.page_now.rows
        return rows[self.cursor] if self.cursor < len(rows) else None

    def search_for(self, text: str) -> None:
        """Show only what holds this text."""
        if text != self.search:
            self.search = text
            self.cursor = 0
            self._loading = False
            self.load()

    # --- moving

    def put(self, place: int) -> None:
        """Put the cursor on a row; where the end of what is loaded is near, load more."""
        super().put(place)
        page = self.page_now
        if (page.more_below and self.cursor > len(page.rows) - _NEAR) or (
            page.more_above and self.cursor < _NEAR
        ):
            self.load()

    def first(self) -> None:
        """The one with the newest entry."""
        self.page_now = Page(known=self.page_now.known, matching=self.page_now.matching)
        self.cursor = 0
        self._loading = False
        self.load()

    def last(self) -> None:
        """The one that had none for longest."""
        self.load(last=True)

    # --- drawing

    def number(self) -> int:
        """How many are loaded."""
        return len(self.page_now.rows)

    def heads(self, width: int) -> str:
        """How many there are."""
        del width
        known, matching = self.page_now.known, self.page_now.matching
        progress = self.collected
        share = "" if progress.complete else f" …{progress.looked_at * 100 // max(progress.recorded, 1)} %"
        many = f"{matching:,} of {known:,}" if self.search else f"{known:,}"
        return f" PROFILES {many}{share}"

    def nothing(self) -> str:
        """Why there are none."""
        if self.search and self.page_now.known:
            return f" 0 of {self.page_now.known:,} profiles match,\n esc clears"
        if not self.collected.complete or self._loading:
            return " …"
        return " No profile yet." if not self.page_now.known else ""

    def cells(self, place: int, width: int) -> Sequence[Cell]:
        """Whose, and how many entries."""
        row = self.page_now.rows[place]
        entries = f" {row.entries:,}"
        owner = self.fit(owner_of(row.profile, row.group_key), width - len(entries))
        return (owner, ""), (entries, "$text-muted")
