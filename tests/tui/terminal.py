"""A stream that says it is a terminal, and keeps what is written; for commands in this process."""

import io
import re

__all__ = ["Terminal"]

_STYLE = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    """`restante("status", stdout=terminal)` writes to it as to a terminal of as many columns as COLUMNS says."""

    encoding = "utf-8"

    def isatty(self):
        return True

    @property
    def styles(self):
        return set(_STYLE.findall(self.getvalue()))

    @property
    def plain(self):
        return _STYLE.sub("", self.getvalue())
