"""The shipping view: how it stands, lane by lane, then what failed, and what was tried."""

from collections.abc import Callable
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Static

from recorder import State
from recorder.journal.decisions import Verb
from recorder.model.reports import FailureGroup
from tui.browser.changes import Changes
from tui.browser.gateway import Gateway
from tui.browser.gateway_shipping import Carried, ShippingGateway, Standing
from tui.browser.keys import BINDINGS
from tui.browser.messages import Failed, FilterEntries
from tui.browser.views.view import View
from tui.browser.widgets.attempt_table import AttemptTable
from tui.browser.widgets.failure_table import FailureTable
from tui.browser.widgets.lines import Lines
from tui.browser.widgets.notice import Notice
from tui.browser.work import stopped
from tui.text.accounts import lane_lines
from tui.text.cells import folded
from tui.text.format import printable, size
from tui.text.home import standing_line

__all__ = ["ShippingView", "words_for"]

_NO_ENTRIES = "No entry was set aside after these tries; the attempts below name their entries."
_MOST_LINES = 4  # of the lanes in trouble


class ShippingView(View):
    """State of shipping, failures and attempts."""

    where: ClassVar[str] = "shipping"
    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS["shipping"]]
    DEFAULT_CSS = """
    ShippingView { layout: vertical; }
    ShippingView #standing { height: 1; }
    ShippingView #lanes { text-style: dim; }
    ShippingView #failures { border-top: solid $panel; }
    ShippingView #attempts { border-top: solid $panel; }
    """

    def __init__(self, gateway: Gateway, shipping: ShippingGateway, changes: Changes) -> None:
        super().__init__(changes)
        self._gateway = shipping
        self._write = gateway.write
        self._standing: Standing | None = None
        self._wanted: State | None = None

    def compose(self) -> ComposeResult:
        """Words above, two tables below."""
        yield Static(id="standing")
        yield Notice("lanes")
        yield FailureTable(write=self._write)
        yield AttemptTable()

    def on_unmount(self) -> None:
        """Close the journal."""
        self._gateway.close()

    @property
    def _failures(self) -> FailureTable:
        return self.query_one(FailureTable)

    @property
    def _attempts(self) -> AttemptTable:
        return self.query_one(AttemptTable)

    @property
    def table(self) -> Lines[Any]:
        """The table that has the focus."""
        return self._attempts if self._attempts.has_focus else self._failures

    # --- reading

    def refresh_view(self) -> None:
        """The journal has changed, or time has passed."""
        self.ask(lambda: self._gateway.standing(stopped), self._show_standing, group="standing", about="now")

    def _show_standing(self, standing: Standing) -> None:
        self._standing = standing
        self._failures.show(standing)
        self._attempts.show(standing)
        self._point()
        self._show_words()

    def on_failed(self, message: Failed) -> None:
        """Say in the tables that nothing was read yet; the app shows the error as well."""
        if self._standing is None and message.job == "standing":
            for table in (self._failures, self._attempts):
                table.empty = f" This could not be read: {printable(str(message.error))}"
                table.refresh()

    def on_resize(self) -> None:
        """Fold the words to another width."""
        self._show_words()

    def _show_words(self) -> None:
        if self._standing is None:
            return
        facts, width = self._standing.facts, (self.size.width or self.app.size.width) - 2
        self.query_one("#standing", Static).update(Content.assemble(" ", *standing_line(facts)))
        parts = [part for line in lane_lines(facts) for part in folded(line, width)][:_MOST_LINES]
        self.query_one("#lanes", Notice).say("\n".join(f" {part}" for part in parts))

    def point_at(self, state: State) -> None:
        """Put the cursor on the largest failure of a state, once it is read."""
        self._wanted = state
        self._failures.focus()
        self._point()

    def _point(self) -> None:
        for place, row in enumerate(self._failures.rows):
            if isinstance(row, FailureGroup) and row.state is self._wanted:
                self._failures.put(place)
                self._wanted = None

    # --- moving

    def action_other(self, by: int) -> None:
        """To the other table."""
        del by
        (self._failures if self._attempts.has_focus else self._attempts).focus()

    def action_sort(self, by: int) -> None:
        """Take another order, or turn it round."""
        self.table.sort(by)

    # --- keys that act on failures and attempts

    def action_enter(self) -> None:
        """To the entries."""
        if not self._attempts.has_focus:
            self._with_group(self._filter, _NO_ENTRIES)
            return
        attempt = self._attempts.current
        if attempt is not None and attempt.updates:
            self.ask(lambda: self._gateway.carried(attempt), self._show_carried, group="carried")

    def _filter(self, group: FailureGroup) -> None:
        self.post_message(FilterEntries(words_for(group)))

    def _show_carried(self, carried: Carried) -> None:
        if not carried.exact:
            self.say(f"It carried {carried.entries:,} of these; which ones is not recorded.")
        self.post_message(FilterEntries(carried.words))

    def action_retry(self) -> None:
        """Send this failure's entries again."""
        self._decide(Verb.RETRY)

    def action_discard(self) -> None:
        """Give this failure's entries up."""
        self._decide(Verb.DISCARD)

    def _decide(self, verb: Verb) -> None:
        if self._attempts.has_focus:
            self.say(f"{verb.capitalize()} is for a failure: tab goes to them.")
        elif self._failures.current is None:
            self.say(f"There is no failure. There is nothing to {verb}.")
        else:
            self._with_group(
                lambda group: self._changes.decide(verb, [words_for(group)]),
                f"No entry was set aside after these tries. There is nothing to {verb}.",
            )

    def _with_group(self, act: Callable[[FailureGroup], object], for_tries: str) -> None:
        """Act on the entries of the failure under the cursor, if a filter can find exactly them."""
        group = self._failures.current
        if isinstance(group, FailureGroup) and group.rest:
            self.say("These have too many different words to list; use a filter to see some of them.")
        elif isinstance(group, FailureGroup):
            act(group)
        elif group is not None:
            self.say(for_tries)

    def action_copy(self) -> None:
        """Copy the words whole."""
        row = self._attempts.current if self._attempts.has_focus else self._failures.current
        if row is None or not row.words:
            self.say("There are no words to copy.")
            return
        self.app.copy_to_clipboard(row.words)
        self.say(f"Copied the words, {size(len(row.words.encode()))}.")


def words_for(group: FailureGroup) -> list[str]:
    """Return the filter that finds exactly a group's entries: by state, words and status.

    >>> from recorder import State
    >>> words_for(FailureGroup(state=State.REJECTED, words="no", status=400, entries=2, first_at=0, last_at=0,
    ...     first=1, last=2))
    ['state=rejected', 'error==no', 'status=400']
    """
    status = "none" if group.status is None else str(group.status)
    return [f"state={group.state.value}", f"error=={group.words}", f"status={status}"]
