"""The journal view: tabs, filter, table and detail, and what can be done with entries."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.message import Message

from recorder import InvalidFilter
from recorder.journal.decisions import Verb
from recorder.model.filters import where
from tui.browser.actions import numbered
from tui.browser.gateway import Facts, Gateway
from tui.browser.keys import bindings, name_of
from tui.browser.messages import Decide, Edit, Failed, Forget, KeysChanged, Say, Ship, ShowProfile
from tui.browser.views.view import View
from tui.browser.widgets.entry_detail import EntryDetail
from tui.browser.widgets.entry_table import EntryTable
from tui.browser.widgets.notice import Notice
from tui.browser.widgets.prompt import Prompt
from tui.browser.widgets.state_tabs import StateTabs
from tui.browser.work import ask, stopped
from tui.text.detail import copied
from tui.text.format import copied_words, printable
from tui.text.rows import Query, words_of
from tui.text.states import PROBLEMS

__all__ = ["JournalView"]

_WIDE = 100
"""Cells from which the detail stands beside the table."""

_HINT = "state=rejected op=add profile=ada since=2h"
_EMPTY = """Nothing is recorded yet. Three lines of Python that record something:

from recorder import Recorder
recorder = Recorder("PROJECT", "{name}")
recorder.people_set("ada", {{"plan": "pro"}})"""


class JournalView(View):
    """The entries of the journal, newest first."""

    where: ClassVar[str] = "journal"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("journal")]

    class _Counted(Message):
        def __init__(self, query: Query, total: int | None) -> None:
            self.query = query
            self.total = total
            super().__init__()

    class _Found(Message):
        def __init__(self, query: Query, seq: int | None, what: str) -> None:
            self.query = query
            self.seq = seq
            self.what = what
            super().__init__()

    class _Copied(Message):
        def __init__(self, text: str, what: str, otherwise: str) -> None:
            self.text = text
            self.what = what
            self.otherwise = otherwise
            super().__init__()

    def __init__(self, gateway: Gateway, *, ascii_only: bool = False) -> None:
        super().__init__(id="journal")
        self._gateway = gateway
        self._ascii = ascii_only
        self._query = Query()
        self._facts: Facts | None = None
        self._total: int | None = None
        self._find: tuple[str, ...] = ()
        self._counted_at: float | None = None
        self._counting = False
        self._detail_open = False
        self._going = False  # an entry is looked for that the cursor is to go to
        self._waiting: deque[Callable[[], object]] = deque()  # keys that are to act from there
        self._refusal = ""

    def compose(self) -> ComposeResult:
        """Tabs, prompt and notices above; the table, and the detail beside it or in its place."""
        plain = self._ascii
        yield StateTabs(ascii_only=plain)
        yield Prompt()
        yield Notice("filter-line", ascii_only=plain)
        with Horizontal(id="journal-body"):
            with Vertical(id="journal-table"):
                yield Notice("heads", ascii_only=plain)
                yield EntryTable(self._gateway, ascii_only=plain)
            yield EntryDetail(self._gateway, ascii_only=plain)

    @property
    def table(self) -> EntryTable:
        """The entries."""
        return self.query_one(EntryTable)

    @property
    def text(self) -> EntryDetail:
        """The entry under the cursor."""
        return self.query_one(EntryDetail)

    @property
    def instead(self) -> Mapping[str, str]:
        """In the detail, enter leads nowhere, and escape back."""
        return {"journal.enter": "app.close"} if self._detail_open else {}

    @property
    def wide(self) -> bool:
        """Whether the detail stands beside the table."""
        return self.size.width >= _WIDE

    @property
    def detail_open(self) -> bool:
        """Whether the detail was opened with enter."""
        return self._detail_open

    @property
    def settled(self) -> bool:
        """Whether every key that was pressed has acted."""
        return not self._waiting

    @property
    def place(self) -> tuple[Query, int | None]:
        """What shows, and the entry under the cursor where it is not simply the newest."""
        table = self.table
        return self._query, None if table.at_top and table.on_first else table.cursor

    # --- keys typed ahead act from the place that those before them lead to

    def _in_turn(self, act: Callable[[], object]) -> None:
        self._waiting.append(act)
        self._go_on()

    def _go_on(self) -> None:
        while self._waiting and not self._going and not self.table.under_way:
            self._waiting.popleft()()

    def action_move(self, by: int) -> None:
        """Down or up."""
        self._in_turn(partial(super().action_move, by))

    def action_page(self, by: int) -> None:
        """Pages down or up."""
        self._in_turn(partial(super().action_page, by))

    def action_first(self) -> None:
        """The newest, or the first line."""
        self._in_turn(super().action_first)

    def action_last(self) -> None:
        """The oldest, or the last line."""
        self._in_turn(super().action_last)

    def on_failed(self, message: Failed) -> None:
        """Something that was asked for failed; the app says so. What was typed behind it is not done."""
        if message.job == "count":
            self._counting = False
        else:
            self._going = False
            self._waiting.clear()

    # --- what the app asks of it

    def show_facts(self, facts: Facts) -> None:
        """The accounts, for the tabs."""
        self._facts = facts
        self.query_one(StateTabs).show(facts)

    def refresh_view(self) -> None:
        """The journal has changed, or time has passed."""
        self.table.refresh_rows()
        if self._detail_shows:
            self.text.refresh_entry()
        self._count()
        self._tell()

    def close_innermost(self) -> bool:
        """Prompt, detail, then filter, then tab."""
        prompt = self.query_one(Prompt)
        if prompt.is_open:
            prompt.close()
            self.take_focus()
        elif self.detail_open:
            self._close_detail()
        elif self.table.marks:
            self.table.marks.clear()
            self.table.refresh()
            self._tell()
        elif self._query.words:
            self.show(Query(self._query.state))
        else:
            return False
        return True

    def take_focus(self) -> None:
        """The keys go to the table, or to the detail where that is open."""
        # At once, so that a key right after enter is a command already.
        prompt = self.query_one(Prompt)
        inner = prompt.field if prompt.is_open else self.text if self.detail_open else self.table
        self.screen.set_focus(inner)

    def show(self, query: Query, *, at: int | None = None) -> None:
        """Show what matches, with the cursor on an entry, or on the newest."""
        self._query = query
        self._total = None
        self._counted_at = None
        self._counting = False
        self._going = False
        self._waiting.clear()
        self.query_one(StateTabs).choose(query.state)
        self.table.show(query, at=at)
        self._count()
        self._tell()

    def show_entry(self, seq: int) -> None:
        """Show an entry among all."""
        self._detail_open = False
        self._arrange()
        self.show(Query(), at=seq)

    # --- filter, tabs, find

    def action_filter(self) -> None:
        """Ask for a filter."""
        self.query_one(Prompt).open("filter", "/ ", _typed(self._query.words), _HINT, _refusal)

    def action_find(self) -> None:
        """Ask for what is to be found."""
        self.query_one(Prompt).open("find", "find ", _typed(self._find), _HINT, _refusal)

    def on_prompt_refused(self, message: Prompt.Refused) -> None:
        """What was typed is not understood: it stays, and the words say why."""
        self._refusal = message.words
        self._tell()

    def on_prompt_closed(self) -> None:
        """Back to the table."""
        self._refusal = ""
        self.take_focus()
        self._tell()

    def on_prompt_entered(self, message: Prompt.Entered) -> None:
        """Filter, or find."""
        self._refusal = ""
        self.take_focus()
        words = words_of(message.text)
        before = self._find if message.purpose == "find" else self._query.words
        if message.text == printable(
            _typed(before)
        ):  # as it was, with letters in it that only show spelled out
            words = list(before)
        if message.purpose == "find":
            self._find = tuple(words)
            if words:
                self.action_find_next(1)
            self._tell()
        else:
            self.show(Query.of(words, self._query.state))

    def action_tab(self, by: int) -> None:
        """Another tab."""
        self.show(Query(self.query_one(StateTabs).beside(by), self._query.words))

    def action_find_next(self, way: int) -> None:
        """The next match of what is looked for: 1 for older, -1 for newer."""
        if not self._find:
            self.action_find()
        else:
            self._in_turn(partial(self._find_next, way))

    def _find_next(self, way: int) -> None:
        query, words, seq = self._query, self._find, self.table.cursor
        what = " ".join(map(printable, words))
        newer = way < 0
        self._going = True
        ask(
            self,
            lambda: self._gateway.beside(query, seq, newer=newer, words=words, stop=stopped),
            lambda found: self._Found(
                query, found, f"{'newer' if newer else 'older'} entry that matches {what}"
            ),
            group="find",
        )

    def action_problem(self, way: int) -> None:
        """The next entry that a person may have to do something about."""
        self._in_turn(partial(self._problem, way))

    def _problem(self, way: int) -> None:
        query, seq, newer = self._query, self.table.cursor, way < 0
        self._going = True
        ask(
            self,
            lambda: self._gateway.beside(query, seq, newer=newer, states=PROBLEMS, stop=stopped),
            lambda found: self._Found(query, found, f"{'newer' if newer else 'older'} problem"),
            group="find",
        )

    def on_journal_view__found(self, message: _Found) -> None:
        """Go there."""
        if message.query != self._query:
            return
        self._going = False
        if message.seq is None:
            self.post_message(Say(f"There is no {message.what}."))
        else:
            self.table.go_to(message.seq)
        self._go_on()

    # --- counting

    def _count(self) -> None:
        """Count a filter's matches: in a thread, and not again before ten times as long as that took."""
        if not self._query.words or self._counting:
            return
        if self._counted_at is not None and self._facts is not None and self._again_after > self._facts.now:
            return
        query, begun = self._query, self._gateway.now
        self._counting = True
        started = begun()

        def job() -> int | None:
            total = self._gateway.tally(query, stopped)
            self._again_after = begun() + 10 * (begun() - started) + 1.0
            return total

        ask(self, job, lambda total: self._Counted(query, total), group="count")

    _again_after = 0.0

    def on_journal_view__counted(self, message: _Counted) -> None:
        """So many."""
        if message.query == self._query:
            self._counting = False
            self._counted_at = self._gateway.now()
            self._total = message.total
            self.table.count_is(message.total)
            self._tell()

    # --- moving

    def action_follow(self) -> None:
        """Follow, or stop."""
        self.table.follow()
        self._tell()

    def action_mark(self) -> None:
        """Mark."""
        self._in_turn(self.table.mark)

    # --- the detail

    @property
    def _detail_shows(self) -> bool:
        return self.wide or self.detail_open

    def action_enter(self) -> None:
        """Into the detail."""
        self._in_turn(self._enter)

    def _enter(self) -> None:
        if self.table.cursor is None:
            return
        self._detail_open = True
        self.text.show(self.table.cursor)
        self._arrange()

    def _close_detail(self) -> None:
        self._detail_open = False
        self._arrange()

    def _arrange(self) -> None:
        """Table and detail side by side, or the one in the place of the other.

        Said of the widgets at once, before the focus goes there: what a style sheet hides or shows later cannot take
        it, and with the focus on what is hidden the keys would go nowhere.
        """
        self.text.display = self._detail_shows
        self.query_one("#journal-table").display = self.wide or not self._detail_open
        self.post_message(KeysChanged())
        self.take_focus()

    def on_entry_table_opened(self) -> None:
        """A click on the row under the cursor."""
        self.action_enter()

    def on_entry_table_moved(self, message: EntryTable.Moved) -> None:
        """Another entry."""
        if self._detail_shows:
            self.text.show(message.seq)

    def on_entry_table_changed(self) -> None:
        """Other rows."""
        self._tell()
        self._go_on()

    def on_resize(self, event: Resize) -> None:
        """Wide, or not."""
        self.set_class(event.size.width >= _WIDE, "wide")
        if self.query_one(Prompt).is_open or not self.display:
            self.text.display = self._detail_shows
        else:
            self._arrange()
        if self._detail_shows:
            self.text.show(self.table.cursor)

    def _tell(self) -> None:
        """The lines around the table."""
        table = self.table
        marks = f"{len(table.marks):,} marked" if table.marks else ""
        follows = (
            f"» following ({name_of('journal.follow')})"
            if table.at_top
            else f"{name_of('journal.follow')} follows"
        )
        # The cursor stays on its entry, as keys act upon it; where that leads it out of sight, this says so.
        self.query_one(StateTabs).note("  ".join(filter(None, (table.drifted, marks, follows))))
        self.query_one("#filter-line", Notice).say(self._filter_words())
        self.query_one("#heads", Notice).say("" if table.empty else table.heads())
        table.say_nothing(self._nothing())
        if table.empty and self._detail_open:
            self._close_detail()  # there is no entry any more that it could be of

    def _filter_words(self) -> str:
        if self._refusal and self.query_one(Prompt).is_open:
            return f" ! {printable(self._refusal)}"
        if not self._query.words:
            return ""
        words = " ".join(map(printable, self._query.words))
        whole = self._whole()
        number = f"{self._total:,}" if self._total is not None else "…"
        return f" / {words}   {number} of {whole:,} match, esc clears"

    def _whole(self) -> int:
        return self._facts.kept(self._query.state) if self._facts is not None else 0

    def _nothing(self) -> str:
        if self._query.words:
            words = " ".join(map(printable, self._query.words))
            return f"0 of {self._whole():,} match {words}, esc clears"
        if self._query.state is not None:
            if self._facts is not None and (gone := self._facts.pruned.get(self._query.state)):
                return f"None is kept: {gone:,} {self._query.state.value.replace('_', ' ')} were pruned."
            return f"No entry is {self._query.state.value.replace('_', ' ')}."
        return _EMPTY.format(name=printable(self._gateway.path.name))

    # --- what can be done

    def action_profile(self) -> None:
        """To its profile at that moment."""
        self._in_turn(lambda: self._of_profile(ShowProfile))

    def action_forget(self) -> None:
        """Erase its profile."""
        self._in_turn(lambda: self._of_profile(lambda profile, group_key, _: Forget(profile, group_key)))

    def _of_profile(self, made: Callable[[str, str | None, int], Message]) -> None:
        seq = self.table.cursor

        def job() -> Message:
            entry = self._gateway.entry(seq) if seq is not None else None
            if entry is None or entry.profile is None:
                return Say("This entry has no profile.")
            return made(entry.profile, entry.group_key, entry.seq)

        ask(self, job, lambda message: message, group="profile")

    def action_copy(self) -> None:
        """The entry as JSON."""
        self._in_turn(lambda: self._copy("JSON", lambda seq: self._gateway.text_of(seq, copied)))

    def action_copy_test(self) -> None:
        """The history of its profile as a test."""
        self._in_turn(lambda: self._copy("a test", self._gateway.test_of))

    def _copy(self, what: str, read: Callable[[int], str]) -> None:
        seq = self.table.cursor
        if seq is not None:
            otherwise = f"`restante entries seq={seq} --json` writes it out."
            if read == self._gateway.test_of:
                otherwise = f"`restante export seq=..{seq}` writes the entries out."
            ask(
                self,
                lambda: read(seq),
                lambda text: self._Copied(text, f"#{seq:,} as {what}", otherwise),
                group="copy",
            )

    def on_journal_view__copied(self, message: _Copied) -> None:
        """To the clipboard."""
        if not message.text:
            self.post_message(Say("There is nothing to copy: this entry is of no profile."))
            return
        self.app.copy_to_clipboard(message.text)
        self.post_message(Say(copied_words(message.what, message.text, message.otherwise)))

    @property
    def _chosen(self) -> list[list[str]]:
        table = self.table
        if table.marks:
            return numbered(table.marks)
        return numbered([] if table.cursor is None else [table.cursor])

    def action_retry(self) -> None:
        """Send again."""
        self._in_turn(lambda: self._decide(Verb.RETRY))

    def action_discard(self) -> None:
        """Give up."""
        self._in_turn(lambda: self._decide(Verb.DISCARD))

    def _decide(self, verb: Verb) -> None:
        self.post_message(Decide(verb, self._chosen, among=self._query if self.table.marks else None))

    def action_edit(self) -> None:
        """Another message."""
        self._in_turn(self._edit)

    def _edit(self) -> None:
        if self.table.cursor is not None:
            self.post_message(Edit(self.table.cursor))

    def action_ship(self) -> None:
        """Send what may go now."""
        self.post_message(Ship())

    def decided(self) -> None:
        """Marks were acted upon."""
        self.table.marks.clear()
        self.table.refresh()
        self._tell()


def _typed(words: Iterable[str]) -> str:
    """Words as a person would type them."""
    return " ".join(map(_quoted, words))


def _refusal(text: str) -> str:
    """Why what was typed is no filter; empty where it is one."""
    try:
        where(words_of(text), now=0.0)
    except InvalidFilter as error:
        return str(error)
    return ""


def _quoted(word: str) -> str:
    """A word as a person would type it."""
    return f"'{word}'" if any(letter.isspace() for letter in word) and "'" not in word else word
