"""The library's logger, which says nothing unless the program wants to hear it."""

import logging

__all__ = ["log"]

log = logging.getLogger("restante")
log.addHandler(logging.NullHandler())
