"""The detail of one entry, beside the table or in its place."""

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.message import Message
from textual.widgets import Static

from recorder import Entry
from tui.browser.gateway import EntryFacts, Gateway
from tui.browser.work import ask
from tui.text.cells import folded
from tui.text.detail import Line, detail_lines
from tui.text.effect import Effect
from tui.text.states import plain

__all__ = ["EntryDetail"]

_LABEL = 10  # cells
_PATIENCE = 0.3  # seconds the cursor rests before the profile is looked at: that reads all its entries


class EntryDetail(VerticalScroll, inherit_bindings=False):
    """What an entry says, what became of it, what it does to its profile, what happens next."""

    class _Read(Message):
        def __init__(self, seq: int, facts: EntryFacts | None) -> None:
            self.seq = seq
            self.facts = facts
            super().__init__()

    class _Effect(Message):
        def __init__(self, entry: Entry, effect: Effect | None) -> None:
            self.entry = entry
            self.effect = effect
            super().__init__()

    def __init__(self, gateway: Gateway, *, ascii_only: bool) -> None:
        super().__init__(id="detail")
        self.display = False
        self._gateway = gateway
        self._ascii = ascii_only
        self._seq: int | None = None
        self.facts: EntryFacts | None = None
        self._effect: Effect | None = None
        self._effect_of: Entry | None = None

    def compose(self) -> ComposeResult:
        """One text."""
        yield Static("", id="detail-text", markup=False)

    def show(self, seq: int | None) -> None:
        """Show an entry, or none."""
        if seq != self._seq:
            self.facts = None
            self.scroll_to(y=0, animate=False)
        self._seq = seq
        if seq is None:
            self._draw()
        else:
            ask(
                self,
                lambda: self._gateway.entry_facts(seq),
                lambda facts: self._Read(seq, facts),
                group="entry",
            )

    @property
    def complete(self) -> bool:
        """Whether all that is to be known about the entry shows."""
        if self._seq is None:
            return True
        return (
            self.facts is not None
            and self.facts.entry.seq == self._seq
            and self.facts.entry == self._effect_of
        )

    def refresh_entry(self) -> None:
        """The journal has changed, or time has passed."""
        self.show(self._seq)

    def on_entry_detail__read(self, message: _Read) -> None:
        """Show it; its effect takes longer."""
        if message.seq != self._seq:
            return
        self.facts = message.facts
        entry = message.facts.entry if message.facts is not None else None
        if entry is not None and entry != self._effect_of:
            self.set_timer(_PATIENCE, lambda: self._look_at_profile(entry))
        self._draw()

    def _look_at_profile(self, entry: Entry) -> None:
        if self.facts is None or self.facts.entry != entry or self._effect_of == entry:
            return  # the cursor has gone on
        ask(
            self,
            lambda: self._gateway.effect(entry),
            lambda effect: self._Effect(entry, effect),
            group="effect",
        )

    def on_entry_detail__effect(self, message: _Effect) -> None:
        """Show what it does to its profile."""
        self._effect, self._effect_of = message.effect, message.entry
        self._draw()

    def on_resize(self, event: Resize) -> None:
        """Fold the text anew."""
        del event
        self._draw()

    def _draw(self) -> None:
        text = self.query_one("#detail-text", Static)
        if self.facts is None:
            text.update(Content("" if self._seq is None else "…"))
            return
        known = self.facts.entry == self._effect_of
        lines = detail_lines(
            self.facts, self._effect if known else None, effect_known=known, write=self._gateway.write
        )
        text.update(Content("\n").join(part for line in lines for part in self._folded(line)))

    def _folded(self, line: Line) -> list[Content]:
        """A labelled line as lines of the screen: what hangs over goes on under its beginning."""
        width = max(self.scrollable_content_region.width - 1, 20)
        title = line.label == "" and line.style.startswith("bold")
        indent = 0 if title else _LABEL
        parts = folded(line.text, width - indent)
        made = []
        for place, part in enumerate(parts):
            label = (line.label if place == 0 else "").ljust(indent)
            words = plain(part) if self._ascii else part
            # Content, never markup: nothing that is recorded can style it.
            made.append(Content.assemble((label, "$text-muted"), (words, line.style)))
        return made
