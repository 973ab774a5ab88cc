"""The detail of one entry, at the side of the table or in its place."""

from functools import partial

from recorder import Entry
from tui.browser.gateway import Gateway
from tui.browser.keys import key_name
from tui.browser.widgets.text_pane import TextPane
from tui.browser.work import Asking, stopped
from tui.text.detail import Line, detail_lines
from tui.text.effect import Effect
from tui.text.facts import EntryFacts

__all__ = ["EntryDetail"]


class EntryDetail(TextPane, Asking, inherit_bindings=False):
    """Shows an entry's message, its attempts, its effect on the profile, and what happens next."""

    REST = 0.3
    """Seconds that the cursor rests before the profile is read, which takes all its entries."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__("detail")
        self.display = False
        self._gateway = gateway
        self._seq: int | None = None
        self.facts: EntryFacts | None = None
        self._effect: Effect | None = None
        self._effect_of: Entry | None = None

    def show(self, seq: int | None) -> None:
        """Show an entry, or none."""
        if seq != self._seq:
            self.facts = None
            self.forget_question("effect")
            self.scroll_to(y=0, animate=False)
        self._seq = seq
        if seq is None:
            self.forget_question("entry")
            self.show_lines(())
        else:
            self.ask(lambda: self._gateway.entry_facts(seq), self._show_facts, group="entry", about=seq)

    @property
    def complete(self) -> bool:
        """True if all that is known about the entry shows."""
        return self._seq is None or (self.facts is not None and self.facts.entry == self._effect_of)

    def refresh_entry(self) -> None:
        """Read the entry again."""
        self.show(self._seq)

    def _show_facts(self, facts: EntryFacts | None) -> None:
        self.facts = facts
        if facts is not None and facts.entry != self._effect_of:
            self.set_timer(self.REST, partial(self._read_effect, facts.entry))
        self._show()

    def _read_effect(self, entry: Entry) -> None:
        if self.facts is None or self.facts.entry != entry or self._effect_of == entry:
            return  # the cursor has gone on

        def show(effect: Effect | None) -> None:
            self._effect, self._effect_of = effect, entry
            self._show_facts(self.facts)  # the entry may have moved on

        self.ask(
            lambda: self._gateway.effect(entry, stopped),
            show,
            group="effect",
            about=entry.seq,
            words="Working out the effect",
            on_stop=lambda: show(Effect(("not worked out: it was stopped",), would=False, state=entry.state)),
        )

    def _show(self) -> None:
        if self.facts is None:
            self.show_lines([Line(None, "…")])
            return
        known = self._effect_of is not None and self.facts.entry.seq == self._effect_of.seq
        self.show_lines(
            detail_lines(
                self.facts,
                self._effect if known else None,
                effect_known=known,
                key=partial(key_name, self.app),
                write=self._gateway.write,
            )
        )
