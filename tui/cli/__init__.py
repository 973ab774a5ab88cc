"""The `restante` command."""

from tui.cli.command import main, restante

__all__ = ["main", "restante"]
