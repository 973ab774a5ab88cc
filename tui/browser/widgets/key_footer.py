"""The line of keys at the bottom."""

from collections.abc import Iterator

from textual.widgets import Footer

__all__ = ["KeyFooter"]


class KeyFooter(Footer):
    """Textual's footer, composed anew only where other keys work than before.

    Textual composes it at every change of focus, size or screen: a dozen widgets each time, three quarters of them
    the same ones again, which a single-board computer feels.
    """

    _composed: list[tuple[object, ...]] | None = None

    async def recompose(self) -> None:
        """Compose the keys that work now, unless they are on the screen already."""
        if not self.is_attached:  # its screen was answered meanwhile
            return
        keys = list(self._keys())
        if keys != self._composed:
            self._composed = keys
            await super().recompose()

    def _keys(self) -> Iterator[tuple[object, ...]]:
        for _, binding, enabled, tooltip in self.screen.active_bindings.values():
            yield binding, enabled, tooltip
