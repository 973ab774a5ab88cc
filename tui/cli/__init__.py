"""The `restante` command."""

import sys
from typing import Any, NoReturn

__all__ = ["main", "restante"]


def main() -> NoReturn:
    """Run the command, and end with its exit code; Ctrl-C while it is being imported, too, ends with 130."""
    try:
        from tui.cli.command import main as run  # noqa: PLC0415  # it takes long enough to be interrupted

        run()
    except KeyboardInterrupt:
        sys.exit(130)


def __getattr__(name: str) -> Any:
    if name == "restante":
        from tui.cli.command import restante  # noqa: PLC0415

        return restante
    raise AttributeError(name)
