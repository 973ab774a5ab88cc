"""The library's logger, silent unless the program adds a handler."""

import logging

__all__ = ["log"]

log = logging.getLogger("restante")
log.addHandler(logging.NullHandler())
