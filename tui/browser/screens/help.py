"""The help page: the keys of the view one comes from, and those that work everywhere."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.browser.keys import bindings, keys_of, spelled

__all__ = ["HelpScreen"]

_KEYS = 14  # cells
_FILTERS = (
    "A filter is words that must all hold: state=rejected op=add profile=ada group=company lane=people "
    "error=numeric status=400 seq=3,100..200 since=2h; != negates, error== takes exactly these words, and a bare word "
    "looks in ids, property names and error texts."
)


class HelpScreen(ModalScreen[None]):
    """Which keys do what. Those that change something say that they need ``--write``."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("help")]

    def __init__(self, where: str, *, write: bool, ascii_only: bool) -> None:
        super().__init__()
        self._where = where
        self._write = write
        self._ascii = ascii_only

    def compose(self) -> ComposeResult:
        """One page."""
        with VerticalScroll(classes="box wide"):
            yield Static(self.text(), markup=False)

    def action_close(self) -> None:
        """Back to the view."""
        self.dismiss()

    def text(self) -> Content:
        """The page."""
        parts: list[Content] = []
        for place, title in ((self._where, self._where.capitalize()), ("app", "Everywhere")):
            parts.append(Content.styled(f"{title}\n", "bold"))
            parts.extend(
                self._line(key.keys, key.help, writes=key.writes) for key in keys_of(place) if key.help
            )
            parts.append(Content("\n"))
        if self._where == "journal":
            parts.append(Content(_FILTERS))
        return Content.assemble(*parts)

    def _line(self, keys: str, sentence: str, *, writes: bool) -> Content:
        names = spelled(keys.split(",")[:3], plain=self._ascii)
        refused = writes and not self._write
        words = f"{sentence} (needs --write)" if refused else sentence
        line = f"  {names.ljust(_KEYS)} {words}\n"
        text = line.replace("…", "...") if self._ascii else line
        return Content.styled(text, "$text-muted" if refused else "")
