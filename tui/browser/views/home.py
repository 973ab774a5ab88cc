"""The home view: what needs a person first, then what goes on by itself, the flow of a day, and the accounts."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Static

from recorder import State
from recorder.journal.decisions import Verb
from recorder.model.attention import Need
from tui.browser.changes import Changes
from tui.browser.gateway import Gateway
from tui.browser.gateway_shipping import ShippingGateway
from tui.browser.keys import BINDINGS
from tui.browser.messages import FilterEntries, ShowView
from tui.browser.views.view import View
from tui.browser.widgets.need_table import NeedTable
from tui.browser.widgets.notice import Notice
from tui.browser.work import stopped
from tui.text.accounts import accounts_lines
from tui.text.cells import folded
from tui.text.home import Home, by_itself, flow_lines, head_line

__all__ = ["HomeView"]


class HomeView(View):
    """The state of the journal at a glance."""

    where: ClassVar[str] = "home"
    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS["home"]]
    DEFAULT_CSS = """
    HomeView { layout: vertical; overflow-y: auto; scrollbar-gutter: stable; scrollbar-size-vertical: 1; }
    HomeView Static { height: auto; }
    HomeView #need { text-style: dim; }
    HomeView #by-itself { text-style: dim; margin-top: 1; }
    HomeView #flow { margin-top: 1; }
    HomeView #home-accounts { text-style: dim; margin-top: 1; }
    """

    def __init__(self, gateway: Gateway, shipping: ShippingGateway, changes: Changes) -> None:
        super().__init__(changes)
        self._journal = gateway.path.name
        self._write = gateway.write
        self._gateway = shipping
        self._home: Home | None = None

    def compose(self) -> ComposeResult:
        """The number of needs, each of them, then what needs nobody."""
        yield Static(" …", id="head")
        yield NeedTable(write=self._write)
        yield Notice("need")
        yield Notice("by-itself")
        yield Static(id="flow")
        yield Notice("home-accounts")

    @property
    def table(self) -> NeedTable:
        """The table of needs."""
        return self.query_one(NeedTable)

    # --- reading

    def refresh_view(self) -> None:
        """The journal has changed, or time has passed."""
        self.ask(lambda: self._gateway.home(stopped), self._show, group="home", about="now")

    def _show(self, home: Home) -> None:
        self._home = home
        self.table.show(home)
        self._show_words()

    def on_resize(self) -> None:
        """Fold the words to another width."""
        self._show_words()

    def on_lines_moved(self) -> None:
        """Show the whole words of another need."""
        self._show_words()

    def _show_words(self) -> None:
        home = self._home
        if home is None:
            return
        width = self.query_one("#head").size.width or self.app.size.width - 1
        self.query_one("#head", Static).update(Content.assemble(*head_line(self._journal, home)))
        flow = (Content.assemble(*line) for line in flow_lines(home, width))
        self.query_one("#flow", Static).update(Content("\n").join(flow))
        facts = home.facts
        ship = f"{self.key('home.ship')} ships now" if self._write else ""
        own = f" {self.table.cursor + 1:<4}"  # the number says whose keys they are
        signs = {"need": own, "by-itself": " -  "}
        words = {
            "need": self.table.unseen,
            "by-itself": list(by_itself(self._journal, home, ship)),
            "home-accounts": list(accounts_lines(facts.statistics, facts.shipper, facts.now)),
        }
        for name, lines in words.items():
            sign = signs.get(name, " ")
            parts = [_hung(sign, folded(line, width - len(sign))) for line in lines]
            self.query_one(f"#{name}", Notice).say("\n".join(parts))

    # --- keys that act on a need

    def action_enter(self) -> None:
        """To the place that decides it: its entries, or else shipping."""
        need = self.table.current
        if need is None or "look" not in need.actions or need.groups > 1:
            rejected = need is not None and need.name == "rejected"
            self.post_message(ShowView("shipping", State.REJECTED if rejected else None))
        else:
            self.post_message(FilterEntries([need.words or ""]))

    def action_retry(self) -> None:
        """Send the entries of this need again."""
        self._with_entries("retry", lambda words: self._changes.decide(Verb.RETRY, [[words]]))

    def action_discard(self) -> None:
        """Give the entries of this need up."""
        self._with_entries("discard", lambda words: self._changes.decide(Verb.DISCARD, [[words]]))

    def action_edit(self) -> None:
        """Give the entry of this need another message, if there is only one."""
        self._with_entries("edit", lambda _: self._edit())

    def _edit(self) -> None:
        found = (
            [group for group in self._home.failures if group.state is State.REJECTED] if self._home else []
        )
        if len(found) == 1 and found[0].entries == 1:
            self._changes.edit(found[0].first)
        else:
            self.say(f"These are several: {self.key('home.enter')} shows them, to edit one.")

    def _with_entries(self, what: str, act: Callable[[str], object]) -> None:
        need: Need | None = self.table.current
        if need is None:
            self.say(f"Nothing needs you. There is nothing to {what}.")
        elif need.words is None or what not in need.actions:
            self.say(f"There is nothing to {what} here.")
        else:
            act(need.words)


def _hung(sign: str, lines: list[str]) -> str:
    return "\n".join((" " * len(sign) if place else sign) + line for place, line in enumerate(lines))
