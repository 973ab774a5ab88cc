"""Lines that are there only while they have something to say."""

from rich.text import Text
from textual.widget import Widget

from tui.text.cells import fitted
from tui.text.states import plain

__all__ = ["Notice"]


class Notice(Widget):
    """Some lines of text, or nothing at all. The text is shown as it is, never as markup."""

    DEFAULT_CSS = "Notice { height: auto; display: none; } Notice.said { display: block; }"

    def __init__(self, id: str, *, ascii_only: bool) -> None:
        super().__init__(id=id)
        self._ascii = ascii_only
        self.text = ""

    def say(self, text: str) -> None:
        """Say this; an empty text hides the lines."""
        if text != self.text:
            self.text = text
            self.set_class(bool(text), "said")
            self.refresh(layout=True)

    def render(self) -> Text:
        """The lines, each cut to the width."""
        lines = self.text.split("\n")
        width = self.size.width or self.app.size.width
        texts = (plain(line) if self._ascii else line for line in lines)
        cut = "\n".join(fitted(line, width) for line in texts)
        return Text(plain(cut) if self._ascii else cut, no_wrap=True, end="")
