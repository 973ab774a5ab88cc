"""The profiles view."""

from typing import ClassVar

from tui.gateway import Gateway
from tui.views.view import View

__all__ = ["ProfilesView"]


class ProfilesView(View):
    """To come."""

    where: ClassVar[str] = "profiles"

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(id="profiles")
        self._gateway = gateway

    def render(self) -> str:
        """Nothing yet."""
        return ""

    def show_profile(self, profile: str, group_key: str | None, seq: int | None) -> None:
        """Show a profile, as of an entry."""
