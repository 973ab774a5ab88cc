"""The bottom line: the keys of the place one is in, as many as there is room for."""

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.widget import Widget

from tui.keys import Key, keys_of, spelled
from tui.states import plain

__all__ = ["KeyLine"]


class KeyLine(Widget):
    """Keys and what they do. Those that would change something are left out of a read-only browser."""

    DEFAULT_CSS = "KeyLine { height: 1; dock: bottom; background: $panel; color: $foreground; }"

    def __init__(self, *, write: bool, ascii_only: bool) -> None:
        super().__init__(id="keys")
        self._write = write
        self._ascii = ascii_only
        self._where = "journal"

    def show_place(self, where: str) -> None:
        """Show the keys of this place."""
        self._where = where
        self.refresh()

    def render(self) -> Text:
        """The line."""
        width = self.size.width
        last = [key for key in keys_of("app") if key.footer]
        tail = self._words(last)
        text = ""
        for key in keys_of(self._where):
            if not key.footer or (key.writes and not self._write):
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
        return f"{spelled(key.keys.split(',')[:1])} {key.description}"
