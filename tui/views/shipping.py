"""The shipping view."""

from typing import ClassVar

from tui.gateway import Gateway
from tui.views.view import View

__all__ = ["ShippingView"]


class ShippingView(View):
    """To come."""

    where: ClassVar[str] = "shipping"

    def __init__(self, gateway: Gateway, *, ascii_only: bool = False) -> None:
        super().__init__(id="shipping")
        self._gateway = gateway

    def render(self) -> str:
        """Nothing yet."""
        return ""
