"""Screens over the others, which end once."""

from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.command import CommandPalette
from textual.screen import ModalScreen

__all__ = ["Dialog", "Palette"]

Result = TypeVar("Result")


class Dialog(ModalScreen[Result]):
    """A screen over the others.

    A second click, sent before the first had ended it, ends nothing: Textual would take away the screen below.
    """

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """End with a result, if it is the uppermost."""
        return super().dismiss(result) if self.is_current else AwaitComplete()


class Palette(CommandPalette):
    """Textual's palette, ended once as each `Dialog`."""

    def dismiss(self, result: None = None) -> AwaitComplete:
        """End, if it is the uppermost."""
        return super().dismiss(result) if self.is_current else AwaitComplete()
