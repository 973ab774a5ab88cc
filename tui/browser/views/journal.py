"""The journal view: tabs, filter, table and detail, and the keys that act on entries."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from recorder import State
from tui.browser.changes import Changes
from tui.browser.gateway import Gateway
from tui.browser.gateway_profiles import ProfilesGateway
from tui.browser.keys import BINDINGS
from tui.browser.messages import Failed
from tui.browser.pace import Pace
from tui.browser.views.entry_keys import EntryKeys
from tui.browser.widgets.entry_detail import EntryDetail
from tui.browser.widgets.entry_table import EntryTable
from tui.browser.widgets.filter_prompt import FilterPrompt
from tui.browser.widgets.journal_body import JournalBody
from tui.browser.widgets.notice import Notice
from tui.browser.widgets.prompt import Prompt
from tui.browser.widgets.state_tabs import StateTabs
from tui.browser.work import stopped
from tui.text.facts import Facts
from tui.text.filter_words import quoted
from tui.text.format import printable
from tui.text.home import beginning
from tui.text.rows import Query, words_of
from tui.text.states import PROBLEMS

__all__ = ["JournalView"]


class JournalView(EntryKeys):
    """The entries of the journal, newest first."""

    where: ClassVar[str] = "journal"
    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS["journal"]]

    def __init__(
        self, gateway: Gateway, changes: Changes, profiles: ProfilesGateway, history: Iterable[str] = ()
    ) -> None:
        super().__init__(gateway, changes)
        self._facts: Facts | None = None
        self._total: int | None = None
        self._find: tuple[str, ...] = ()
        self._pace = Pace(gateway.now)  # of counting
        self._prompt = FilterPrompt(profiles, history)

    def compose(self) -> ComposeResult:
        """Tabs, prompt and notices above; table and detail below."""
        yield StateTabs()
        yield self._prompt
        yield Notice("filter-line")
        yield JournalBody(self._gateway)

    @property
    def text(self) -> EntryDetail:
        """The entry under the cursor."""
        return self.query_one(EntryDetail)

    @property
    def body(self) -> JournalBody:
        """The table and the detail."""
        return self.query_one(JournalBody)

    @property
    def place(self) -> tuple[Query, int | None]:
        """The query, and the entry under the cursor unless it is simply the newest."""
        table = self.table
        return self._query, None if table.at_top and table.on_first else table.cursor

    @property
    def ready(self) -> bool:
        """True if the cursor is on no way to another entry."""
        return not self.waits_for("find", "mark") and not self.table.under_way

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave enter unbound in the detail, where it leads nowhere."""
        if action == "enter":
            return not self.body.entered
        return super().check_action(action, parameters)

    def on_failed(self, message: Failed) -> None:
        """Drop the keys that were typed behind a read that failed; the app shows the error."""
        if message.job != "count":
            self._typed.clear()

    # --- called by the app

    def show_facts(self, facts: Facts) -> None:
        """Show the counts in the tabs."""
        self._facts = facts
        self.query_one(StateTabs).facts = facts
        self.prompt.counts = facts.by_state

    def refresh_view(self) -> None:
        """The journal has changed, or time has passed."""
        self.table.refresh_rows()
        if self.body.place:
            self.text.refresh_entry()
        self._count()
        self._show_lines()

    def take_change(self) -> None:
        """Show what the person changed with the next refresh, however long reading took."""
        self.clear_marks()
        self.table.pace.reset()
        self._pace.reset()

    @property
    def innermost(self) -> Callable[[], object] | None:
        """The function that closes prompt, detail, marks, filter or tab."""
        if self.prompt.is_open:
            return self._leave_prompt
        if self.body.entered:
            return self._close_detail
        if self.table.marks:
            return self.clear_marks
        return self._clear_filter if self._query.words else None

    def _clear_filter(self) -> None:
        self.show(Query(self._query.state))

    def on_entry_table_stopped(self) -> None:
        """Go back from a filter, or a tab, whose entries are nowhere near."""
        if self._query.words:
            self._clear_filter()
        elif not self.table.loaded:
            self.show(Query())

    def take_focus(self) -> None:
        """Give the keys to the prompt, the detail or the table."""
        # At once, so that a key right after enter is a command already.
        inner = self.prompt.field if self.prompt.is_open else self.text if self.body.entered else self.table
        self.screen.set_focus(inner)

    def show(self, query: Query, *, at: int | None = None) -> None:
        """Show what matches, with the cursor on an entry, or on the newest."""
        self._query = query
        self._total = None
        self._pace.reset()
        self.forget_question("count")
        self.forget_question("find")
        self._typed.clear()
        self.query_one(StateTabs).tab = query.state
        self.table.show(query, at=at)
        self._show_lines()

    def show_entry(self, seq: int) -> None:
        """Show an entry among all."""
        self.body.entered = False
        self._arrange()
        self.show(Query(), at=seq)

    # --- filter, tabs, find

    def action_filter(self) -> None:
        """Ask for a filter."""
        self.prompt.ask_words("filter", "/ ", self._query.words)

    def action_find(self) -> None:
        """Ask what to find."""
        self.prompt.ask_words("find", "find ", self._find)

    def on_prompt_closed(self) -> None:
        """Go back to the table."""
        self._leave_prompt()

    def _leave_prompt(self) -> None:
        self.prompt.close()
        self.take_focus()
        self._show_lines()

    def on_prompt_entered(self, message: Prompt.Entered) -> None:
        """Filter, or find."""
        self.take_focus()
        if message.purpose == "export":
            self.export_to(message.text)
            return
        finds = message.purpose == "find"
        before = self._find if finds else self._query.words
        # Letters that show spelled out stay as they are.
        unchanged = message.text == printable(" ".join(map(quoted, before)))
        words = list(before) if unchanged else words_of(message.text)
        if words:
            self.prompt.keep(message.text)
        if not finds:
            self.show(Query.of(words, self._query.state))
            return
        self._find = tuple(words)
        if words:
            self.action_find_next(1)
        self._show_lines()

    def action_tab(self, by: int) -> None:
        """Open another tab."""
        self.show(Query(self.query_one(StateTabs).next(by), self._query.words))

    def on_state_tabs_chosen(self, message: StateTabs.Chosen) -> None:
        """Open the tab that was clicked."""
        self.show(Query(message.tab, self._query.words))

    def on_state_tabs_note_clicked(self) -> None:
        """Follow, or stop: the words say which."""
        self.action_follow()

    def action_find_next(self, way: int) -> None:
        """The next match: 1 for older, -1 for newer."""
        if self._find:
            words = " ".join(map(printable, self._find))
            self.in_turn(lambda: self._go(way, f"entry that matches {words}", words=self._find))
        else:
            self.action_find()

    def action_problem(self, way: int) -> None:
        """The next entry that may need a person."""
        self.in_turn(lambda: self._go(way, "problem", states=PROBLEMS))

    def _go(self, way: int, what: str, *, words: Iterable[str] = (), states: Iterable[State] = ()) -> None:
        query, seq, words, states = self._query, self.table.cursor, tuple(words), tuple(states)
        newer = way < 0

        def found(seq: int | None) -> None:
            if seq is None:
                self.say(f"There is no {'newer' if newer else 'older'} {what}.")
            else:
                self.table.go_to(seq)
            self.go_on()

        self.ask(
            lambda: self._gateway.next_match(
                query, seq, newer=newer, words=words, states=states, stop=stopped
            ),
            found,
            group="find",
            words="Searching",
            on_stop=self._typed.clear,
        )

    def _count(self) -> None:
        """Count a filter's matches, if not all are loaded."""
        window = self.table.window
        if not self._query.words or not self.table.loaded:
            return  # one search at a time: both may look through the whole journal
        if window.at_newest and window.at_oldest:
            if self._total != len(window.rows):
                self._show_count(len(window.rows))
        elif self._pace.due:
            tally = partial(self._gateway.tally, self._query, stopped)
            self.ask(partial(self._pace.timed, tally), self._show_count, group="count", about=self._query)

    def _show_count(self, total: int | None) -> None:
        self._total = total
        self.table.count_is(self._total)
        self._show_lines()

    # --- moving

    def action_follow(self) -> None:
        """Follow, or stop."""
        self.table.follow()
        self._show_lines()

    # --- the detail

    def action_enter(self) -> None:
        """Into the detail."""
        self.in_turn(self._enter)

    def _enter(self) -> None:
        if self.table.cursor is not None:
            self.body.entered = True
            self._arrange()

    def _close_detail(self) -> None:
        self.body.entered = False
        self._arrange()

    def action_pane(self) -> None:
        """Show the detail, or hide it."""
        self.body.shown, self.body.entered = not self.body.place, False
        self._arrange()
        if self.body.shown and not self.body.place:
            self.say(
                f"There is no space for it below the table; {self.key('journal.enter')} opens it instead."
            )

    def _arrange(self) -> None:
        self.body.place_detail()
        self.take_focus()
        self.refresh_bindings()

    def on_journal_body_placed(self) -> None:
        """Give the keys to what shows."""
        if self.display and not self.prompt.is_open:
            self.take_focus()

    def on_entry_table_opened(self) -> None:
        """A click on the row under the cursor."""
        self.action_enter()

    def on_entry_table_moved(self, message: EntryTable.Moved) -> None:
        """Show another entry in the detail."""
        if self.body.place:
            self.text.show(message.seq)

    def on_entry_table_changed(self) -> None:
        """Other rows were loaded."""
        self._count()
        self._show_lines()
        self.go_on()

    # --- the lines around the table

    def _show_lines(self) -> None:
        table = self.table
        marks = f"{len(table.marks):,} marked" if table.marks else ""
        follow = self.key("journal.follow")
        follows = f"» following ({follow})" if table.at_top else f"{follow} follows"
        # The cursor stays on its entry, as keys act upon it; where that leads it out of sight, this says so.
        self.query_one(StateTabs).note = "  ".join(filter(None, (table.drifted, marks, follows)))
        self.query_one("#filter-line", Notice).say(self._filter_words())
        self.query_one("#heads", Notice).say("" if table.empty else table.heads())
        table.nothing = self._nothing()
        if table.empty and self.body.entered:
            self._close_detail()  # its entry is gone

    def _filter_words(self) -> str:
        if not self._query.words:
            return ""
        words = " ".join(map(printable, self._query.words))
        number = f"{self._total:,}" if self._total is not None else "…"
        return f" / {words}   {number} of {self._kept:,} match, esc clears"

    @property
    def _kept(self) -> int:
        return self._facts.kept(self._query.state) if self._facts is not None else 0

    def _nothing(self) -> str:
        state = self._query.state
        if self._query.words:
            return f"0 of {self._kept:,} match {' '.join(map(printable, self._query.words))}, esc clears"
        if state is None:
            return beginning(self._gateway.path.name)
        word = state.value.replace("_", " ")
        if self._facts is not None and (gone := self._facts.pruned.get(state)):
            return f"None is kept: {gone:,} {word} were pruned."
        return f"No entry is {word}."
