"""The table of entries, and the detail beside it, below it, or in its place."""

from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.events import Resize
from textual.message import Message

from tui.browser.gateway import Gateway
from tui.browser.widgets.entry_detail import EntryDetail
from tui.browser.widgets.entry_table import EntryTable
from tui.browser.widgets.notice import Notice
from tui.text.columns import Place, detail_place, detail_size

__all__ = ["JournalBody"]


class JournalBody(Container):
    """Places table and detail as `tui.text.columns` says."""

    DEFAULT_CSS = """
    JournalBody { height: 1fr; layout: vertical; }
    JournalBody #journal-table { width: 1fr; height: 1fr; }
    JournalBody.beside { layout: horizontal; }
    JournalBody.beside EntryDetail { border-left: solid $panel; }
    JournalBody.beside EntryDetail:focus { border-left: heavy $primary; }
    JournalBody.below EntryDetail { border-top: solid $panel; }
    JournalBody.below EntryDetail:focus { border-top: heavy $primary; }
    """

    class Placed(Message):
        """Table and detail were placed anew, after a change of size."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(id="journal-body")
        self._gateway = gateway
        self.shown: bool | None = None
        """True if the detail is to be shown, False if not; None: as there is space."""
        self.entered = False
        """True after the detail was opened with enter."""
        self.place: Place = ""
        """Place of the detail."""

    def compose(self) -> ComposeResult:
        """Heads, table and detail."""
        with Vertical(id="journal-table"):
            yield Notice("heads")
            yield EntryTable(self._gateway)
        yield EntryDetail(self._gateway)

    @property
    def table(self) -> EntryTable:
        """The table of entries."""
        return self.query_one(EntryTable)

    @property
    def detail(self) -> EntryDetail:
        """The entry under the cursor."""
        return self.query_one(EntryDetail)

    def place_detail(self) -> None:
        """Place table and detail, and show the entry under the cursor in the detail.

        Done by `display` at once, before the focus goes there: what a style sheet shows later cannot take it yet.
        """
        width, height = self.size
        place = detail_place(width, height, shown=self.shown, entered=self.entered)
        detail = self.detail
        detail.styles.width, detail.styles.height = detail_size(place, width, height, entered=self.entered)
        self.place = place
        self.set_class(place == "beside", "beside")
        self.set_class(place == "below", "below")
        detail.display = bool(place)
        self.query_one("#journal-table").display = place != "instead"
        if place:
            detail.show(self.table.cursor)

    def on_descendant_focus(self) -> None:
        """A click enters the detail, or leaves it."""
        if self.entered != self.detail.has_focus:
            self.entered = self.detail.has_focus
            self.place_detail()

    def on_resize(self, event: Resize) -> None:
        """Place table and detail anew; who has the keys may be hidden now."""
        del event
        self.place_detail()
        self.post_message(self.Placed())
