"""The journal view."""

from typing import ClassVar

from tui.gateway import Gateway
from tui.keys import bindings
from tui.views.view import View

__all__ = ["JournalView"]


class JournalView(View, can_focus=True):
    """To come."""

    where: ClassVar[str] = "journal"
    BINDINGS = bindings("journal")

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(id="journal")
        self._gateway = gateway

    def render(self) -> str:
        """Nothing yet."""
        return ""
