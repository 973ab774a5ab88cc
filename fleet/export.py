"""The service's export of profiles: JSON Lines of ``{"$distinct_id": …, "$properties": {…}}``."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fleet.files import Block, lines_of, lines_of_block
from recorder.model.errors import RestanteError

__all__ = ["BadExport", "profiles_of", "profiles_of_block"]


class BadExport(RestanteError):
    """A line of an export is no profile."""

    hint = 'Each line must be {"$distinct_id": "…", "$properties": {…}}, as the query API gives profiles.'


def profiles_of(location: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield id and properties of each profile in an export at a path or URL, one by one.

    Raises:
        FileUnavailable: It cannot be read.
        BadExport: A line is something else.
    """
    for number, line in enumerate(lines_of(location), 1):
        yield _profile(line) or _refuse(location, number)


def profiles_of_block(block: Block) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the same of one block of it."""
    for number, line in enumerate(lines_of_block(block), 1):
        yield _profile(line) or _refuse(block.location, _lines_before(block) + number)


def _profile(line: bytes) -> tuple[str, Mapping[str, Any]] | None:
    try:
        profile = json.loads(line)
        name, properties = profile["$distinct_id"], profile["$properties"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return (name, properties) if isinstance(name, str) and isinstance(properties, dict) else None


def _refuse(location: str, number: int) -> Any:
    raise BadExport(f"{location}, line {number:,}, is no profile")


def _lines_before(block: Block) -> int:
    lines: Iterable[bytes] = lines_of(block.location) if block.begin else ()
    at = 0
    for number, line in enumerate(lines):
        if at > block.begin:  # a line that begins where a block does belongs to the one before
            return number
        at += len(line)
    return 0
