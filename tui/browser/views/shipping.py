"""The shipping view: the sentence first, then the accounts, what failed, and what was tried."""

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message

from recorder.journal.decisions import Verb
from recorder.model.reports import FailureGroup
from tui.browser.gateway import Gateway
from tui.browser.gateway_shipping import Carried, ShippingGateway, Standing
from tui.browser.keys import bindings
from tui.browser.messages import Decide, Failed, FilterEntries, Say, Ship
from tui.browser.views.view import View
from tui.browser.widgets.attempt_table import AttemptTable
from tui.browser.widgets.failure_table import FailureTable
from tui.browser.widgets.lines import Lines
from tui.browser.widgets.notice import Notice
from tui.browser.widgets.top_line import standing as glyph_and_word
from tui.browser.work import ask, stopped
from tui.text.accounts import accounts_lines, lane_lines
from tui.text.cells import folded
from tui.text.format import printable, size

__all__ = ["ShippingView", "words_for"]

_MOST_LINES = {"sentence": 4, "accounts": 4, "lanes": 4}


class ShippingView(View):
    """How shipping stands."""

    where: ClassVar[str] = "shipping"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("shipping")]
    DEFAULT_CSS = """
    ShippingView { layout: vertical; }
    ShippingView #sentence { text-style: bold; }
    ShippingView #accounts, ShippingView #lanes { color: $text-muted; }
    ShippingView #failures { border-top: solid $panel; }
    ShippingView #attempts { border-top: solid $panel; }
    ShippingView.plain #failures, ShippingView.plain #attempts { border-top: ascii $panel; }
    """

    class _Stands(Message):
        def __init__(self, standing: Standing) -> None:
            self.standing = standing
            super().__init__()

    class _Carried(Message):
        def __init__(self, carried: Carried) -> None:
            self.carried = carried
            super().__init__()

    def __init__(self, gateway: Gateway, *, ascii_only: bool = False) -> None:
        super().__init__(id="shipping", classes="plain" if ascii_only else None)
        self._gateway = ShippingGateway(gateway)
        self._write = gateway.write
        self._ascii = ascii_only
        self._standing: Standing | None = None
        self._reading = False
        self._unread = False  # the last read failed

    def compose(self) -> ComposeResult:
        """Words above, two tables below."""
        for name in _MOST_LINES:
            yield Notice(name, ascii_only=self._ascii)
        yield FailureTable(write=self._write, ascii_only=self._ascii)
        yield AttemptTable(ascii_only=self._ascii)

    def on_unmount(self) -> None:
        """Let go of the journal."""
        self._gateway.close()

    @property
    def _failures(self) -> FailureTable:
        return self.query_one(FailureTable)

    @property
    def _attempts(self) -> AttemptTable:
        return self.query_one(AttemptTable)

    @property
    def table(self) -> Lines:
        """The table that has the keys."""
        return self._attempts if self._attempts.has_focus else self._failures

    def take_focus(self) -> None:
        """The keys go to what failed."""
        self.table.focus()

    @property
    def settled(self) -> bool:
        """Whether all that is to be read is, and shows."""
        return (self._standing is not None or self._unread) and not self._reading

    # --- reading

    def refresh_view(self) -> None:
        """The journal has changed, or time has passed."""
        if not self._reading:
            self._reading = True
            ask(self, lambda: self._gateway.standing(stopped), self._Stands, group="standing")

    def on_shipping_view__stands(self, message: _Stands) -> None:
        """Show it."""
        self._reading = self._unread = False
        self._standing = message.standing
        self._failures.show(message.standing)
        self._attempts.show(message.standing)
        self._tell()

    def on_failed(self, message: Failed) -> None:
        """What was read failed; the app says so, and the next change tries again."""
        if message.job != "standing":
            return
        self._reading, self._unread = False, True
        if self._standing is None:
            for table in (self._failures, self._attempts):
                table.unread = f" This could not be read: {printable(str(message.error))}"
                table.refresh()

    def on_resize(self) -> None:
        """Fold the words anew."""
        self._tell()

    def _tell(self) -> None:
        if self._standing is None:
            return
        facts = self._standing.facts
        texts: dict[str, Iterator[str]] = {
            "sentence": iter([f"{glyph_and_word(facts)}  {facts.shipping.sentence}"]),
            "accounts": accounts_lines(facts.statistics),
            "lanes": lane_lines(facts),
        }
        width = max(self.size.width - 2, 20)
        for name, lines in texts.items():
            parts = [part for line in lines for part in folded(line, width)][: _MOST_LINES[name]]
            self.query_one(f"#{name}", Notice).say("\n".join(f" {part}" for part in parts))

    # --- moving

    def action_other(self, by: int) -> None:
        """The other table."""
        del by
        (self._failures if self._attempts.has_focus else self._attempts).focus()

    def on_lines_opened(self, message: Lines.Opened) -> None:
        """A click on the row under the cursor."""
        message.table.focus()
        self.action_enter()

    # --- what can be done

    def action_enter(self) -> None:
        """To the entries."""
        if self._attempts.has_focus:
            attempt = self._attempts.current
            if attempt is not None and attempt.updates:
                ask(self, lambda: self._gateway.carried(attempt), self._Carried, group="carried")
            return
        group = self._failures.current
        if isinstance(group, FailureGroup):
            if self._tells(group):
                self.post_message(FilterEntries(words_for(group)))
        elif group is not None:
            self.post_message(
                Say("Nothing of these tries is set aside; the attempts below name their entries.")
            )

    def on_shipping_view__carried(self, message: _Carried) -> None:
        """To the entries of an attempt."""
        carried = message.carried
        if not carried.exact:
            self.post_message(
                Say(f"It carried {carried.entries:,} of these: which ones is not written down.")
            )
        self.post_message(FilterEntries(carried.words))

    def action_retry(self) -> None:
        """Send this failure's entries again."""
        self._decide(Verb.RETRY)

    def action_discard(self) -> None:
        """Give them up."""
        self._decide(Verb.DISCARD)

    def _decide(self, verb: Verb) -> None:
        group = self._failures.current
        if self._attempts.has_focus:
            self.post_message(Say(f"{verb.capitalize()} is for a failure: tab goes to them."))
        elif not isinstance(group, FailureGroup):
            nothing = "There is no failure." if group is None else "Nothing of these tries is set aside."
            self.post_message(Say(f"{nothing} There is nothing to {verb}."))
        elif self._tells(group):
            self.post_message(Decide(verb, [words_for(group)]))

    def _tells(self, group: FailureGroup) -> bool:
        """Whether a group's entries can be told from others; what has too many different words cannot."""
        if group.rest:
            self.post_message(
                Say("These have more different words than are told apart: filter for some of them.")
            )
            return False
        return True

    def action_ship(self) -> None:
        """Send what may go now."""
        self.post_message(Ship())

    def action_copy(self) -> None:
        """The words whole."""
        row = self._attempts.current if self._attempts.has_focus else self._failures.current
        if row is None or not row.words:
            self.post_message(Say("There are no words to copy."))
            return
        self.app.copy_to_clipboard(row.words)
        self.post_message(Say(f"Copied the words, {size(len(row.words.encode()))}."))


def words_for(group: FailureGroup) -> list[str]:
    """The filter that finds exactly a group's entries: by state, words and status, as they are grouped.

    >>> from recorder import State
    >>> words_for(FailureGroup(state=State.REJECTED, words="no", status=400, entries=2, first_at=0, last_at=0,
    ...     first=1, last=2))
    ['state=rejected', 'error==no', 'status=400']
    """
    status = "none" if group.status is None else str(group.status)
    return [f"state={group.state.value}", f"error=={group.words}", f"status={status}"]
