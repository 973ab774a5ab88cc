"""The service's export of profiles: JSON Lines of ``{"$distinct_id": …, "$properties": {…}}``."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fleet.files import Block, lines_of, lines_of_block
from fleet.lines import value_of
from recorder.model.errors import RestanteError
from recorder.model.told import as_shown

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
        if (found := _profiles(line)) is None:
            raise BadExport(f"{location}, line {number:,}, is not a profile")
        yield from found


def profiles_of_block(block: Block) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the same of one block of it."""
    for number, line in enumerate(lines_of_block(block), 1):
        if (found := _profiles(line)) is None:
            raise BadExport(f"{block.location}, line {_lines_before(block) + number:,}, is not a profile")
        yield from found


def _profiles(line: bytes) -> list[tuple[str, Mapping[str, Any]]] | None:
    """Return the profiles of a line: one, as a rule, or those of a list or of a whole answer."""
    try:
        found = value_of(line)
        several = found if isinstance(found, list) else found.get("results", [found])
        return [as_shown(each) for each in several]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


def _lines_before(block: Block) -> int:
    lines: Iterable[bytes] = lines_of(block.location) if block.begin else ()
    at = 0
    for number, line in enumerate(lines):
        if at > block.begin:  # a line that begins where a block does belongs to the one before
            return number
        at += len(line)
    return 0
