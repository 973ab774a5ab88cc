"""Lines of text that take no space while they are empty."""

from rich.text import Text
from textual.widget import Widget

from tui.text.cells import fitted

__all__ = ["Notice"]


class Notice(Widget):
    """Some lines of text, or nothing at all. The text is shown as it is, never as markup."""

    DEFAULT_CSS = "Notice { height: auto; display: none; } Notice.said { display: block; }"

    def __init__(self, id: str) -> None:  # Textual's word
        super().__init__(id=id)
        self.text = ""

    def say(self, text: str) -> None:
        """Show this text; an empty one hides the lines."""
        if text != self.text:
            self.text = text
            self.set_class(bool(text), "said")
            self.refresh(layout=True)

    def render(self) -> Text:
        """Draw the lines, each cut to the width."""
        width = self.size.width or self.app.size.width
        cut = "\n".join(fitted(line, width) for line in self.text.split("\n"))
        return Text(cut, no_wrap=True, end="")
