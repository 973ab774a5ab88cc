"""The bottom line: the keys of the place one is in, as many as there is room for."""

from collections.abc import Mapping

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.widget import Widget

from tui.browser.keys import Key, keys_of, name_of
from tui.text.states import plain

__all__ = ["KeyLine"]


class KeyLine(Widget):
    """Keys and what they do. Those that would change something are left out of a read-only browser."""

    DEFAULT_CSS = "KeyLine { height: 1; dock: bottom; background: $panel; color: $foreground; }"

    def __init__(self, *, write: bool, ascii_only: bool) -> None:
        super().__init__(id="keys")
        self._write = write
        self._ascii = ascii_only
        self._where = "journal"
        self._instead: Mapping[str, str] = {}

    def show_place(self, where: str, instead: Mapping[str, str] | None = None) -> None:
        """Show the keys of this place; for some that would do nothing now, what is to be shown in their place."""
        self._where, self._instead = where, instead or {}
        self.refresh()

    def render(self) -> Text:
        """The line."""
        width = self.size.width
        last = [key for key in keys_of("app") if key.footer]
        tail = self._words(last)
        text = ""
        others = {key.id: key for key in keys_of("app")}
        for row in keys_of(self._where):
            key = others[self._instead[row.id]] if row.id in self._instead else row
            if not row.footer or (key.writes and not self._write):
                continue
            more = f"{text}  {self._word(key)}" if text else f" {self._word(key)}"
            if cell_len(more) + cell_len(tail) + 3 > width:
                break
            text = more
        line = set_cell_size(f"{text}  {tail}" if text else f" {tail}", width)
        return Text(plain(line) if self._ascii else line, no_wrap=True, end="")

    def _words(self, keys: list[Key]) -> str:
        return "  ".join(self._word(key) for key in keys)

    @staticmethod
    def _word(key: Key) -> str:
        return f"{name_of(key.id)} {key.description}"
