"""The screen of the views, beneath all others."""

from dataclasses import replace

from textual.binding import ActiveBinding
from textual.screen import Screen

from tui.browser.keys import WRITES

__all__ = ["MainScreen"]


class MainScreen(Screen[None]):
    """Shows keys as they are of use: those that need ``--write`` are named by the help only."""

    def __init__(self, *, write: bool) -> None:
        super().__init__(id="_default")
        self._write = write

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """The bindings, for footer and palette."""
        found = super().active_bindings
        return found if self._write else {key: _read_only(active) for key, active in found.items()}


def _read_only(active: ActiveBinding) -> ActiveBinding:
    binding = active.binding
    if binding.action not in WRITES:
        return active
    sentence = f"{binding.tooltip} (needs --write)"
    return active._replace(binding=replace(binding, show=False, tooltip=sentence), tooltip=sentence)
