"""The `restante` command."""

import sys
from typing import Any, NoReturn

__all__ = ["main", "restante"]


def main() -> NoReturn:
    """Run the command, and end with its exit code; Ctrl-C while it is being imported, too, ends with 130."""
    try:
        from tui.cli.command import main as run  # it takes long enough to be interrupted

        run()
    except KeyboardInterrupt:
        sys.exit(130)


def __getattr__(name: str) -> Any:
    if name == "restante":
        from tui.cli.command import restante

        return restante
    raise AttributeError(name)
