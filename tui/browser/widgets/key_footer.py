"""The line of keys at the bottom."""

from collections.abc import Iterator

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

__all__ = ["KeyFooter"]


def _cells(key: Widget) -> int:
    """Return the cells of a key, its words, and a blank behind each."""
    return cell_len(f"{key.key_display} {key.description} ") if isinstance(key, FooterKey) else 0


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

    async def on_resize(self) -> None:
        """Compose what another width has space for."""
        await self.recompose()

    def compose(self) -> ComposeResult:
        """The keys that fit beside the last one, that of help: half a word says nothing."""
        keys = list(super().compose())
        space = self.app.size.width - sum(map(_cells, keys[-1:]))
        for key in keys[:-1]:
            space -= _cells(key)
            if space >= 0:
                yield key
        yield from keys[-1:]

    def _keys(self) -> Iterator[tuple[object, ...]]:
        yield (self.app.size.width,)
        for _, binding, enabled, tooltip in self.screen.active_bindings.values():
            yield binding, enabled, tooltip
