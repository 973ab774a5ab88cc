"""Matters that need a person, a line each."""

from collections.abc import Sequence

from rich.cells import cell_len

from recorder.model.attention import Action, Need
from tui.browser.keys import key_name
from tui.browser.widgets.lines import Cell, Lines
from tui.text.cells import fitted
from tui.text.home import Home, look_of, means
from tui.text.states import MUTED

__all__ = ["NeedTable"]

_NUMBER = 3
_WIDE = 100  # cells from which the keys stand in the line


class NeedTable(Lines[Need]):
    """The matters, the most urgent first, and the keys that act on them."""

    DEFAULT_CSS = "NeedTable { height: auto; max-height: 50%; }"

    def __init__(self, *, write: bool) -> None:
        super().__init__("needs")
        self._write = write

    def show(self, home: Home) -> None:
        """Show the matters; the cursor stays on its own."""
        here = self.current.name if self.current is not None else None
        self.rows, self.empty = home.needs, ""
        places = (place for place, row in enumerate(self.rows) if row.name == here)
        self.put(next(places, self.cursor))
        self.refresh(layout=True)

    @property
    def keys(self) -> dict[Action, str]:
        """Keys by action; empty for what only ``--write`` allows."""
        writing: dict[Action, str] = {
            "retry": "home.retry",
            "discard": "home.discard",
            "edit": "home.edit",
            "ship": "home.ship",
        }
        named: dict[Action, str] = {
            action: key_name(self.app, id_) if self._write else "" for action, id_ in writing.items()
        }
        return {"look": key_name(self.app, "home.enter"), "settle": "", **named}

    def _means(self, need: Need) -> str:
        locked = not self._write and need.words is not None
        return f"{means(need, self.keys)}{' (to decide, start with --write)' if locked else ''}"

    @property
    def unseen(self) -> list[str]:
        """The sentence under the cursor and its keys, where the line has no space for them."""
        need = self.current
        if need is None:
            return []
        width = (self.size.width or self.app.size.width) - 1
        wide = width >= _WIDE - 1
        whole = cell_len(need.text) <= width - _NUMBER - wide * cell_len(self._hint(need))
        return [need.text] * (not whole) + [self._means(need)] * (not wide)

    def _hint(self, need: Need) -> str:
        return f"  {self._means(need)}"

    def heads(self, width: int) -> str:
        """Return nothing: the line above has the number."""
        del width
        return ""

    def get_content_height(self, *_: object) -> int:
        """Return a row for each."""
        return len(self.rows)

    def cells(self, place: int, width: int) -> Sequence[Cell]:
        """Return number, sentence, and where there is space the keys."""
        need = self.rows[place]
        hint = self._hint(need) if width >= _WIDE - 1 else ""
        space = max(width - _NUMBER - cell_len(hint), 4)
        number = fitted(f"{place + 1}", _NUMBER)
        return (number, look_of(need)), (fitted(need.text, space), ""), (hint, MUTED)
