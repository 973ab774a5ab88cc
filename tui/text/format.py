"""Ages, sizes and counts as text, and user data that can never style a terminal. Pure."""

import json
from typing import Any

from recorder.model.text import age, count, printable

__all__ = [
    "MOST_COPIED",
    "age",
    "clipped",
    "copied_words",
    "count",
    "escaped_json",
    "owner_name",
    "printable",
    "size",
]


def size(number: int) -> str:
    """Return a number of bytes in a readable unit.

    >>> size(900), size(12_400_000)
    ('900 B', '12.4 MB')
    """
    amount = float(number)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:  # noqa: PLR2004
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def escaped_json(value: object, **options: Any) -> str:
    r"""Return a value as JSON that no terminal obeys: what is not printable is one of JSON's own escapes.

    Args:
        value: The value.
        options: As for `json.dumps`; `ensure_ascii` is false unless given.

    >>> escaped_json({"name": "Zoë \x1b[31m \x7f \u202e"})
    '{"name": "Zoë \\u001b[31m \\u007f \\u202e"}'
    """
    text = json.dumps(value, **{"ensure_ascii": False, **options})
    return printable(text, lambda letter: letter if letter == "\n" else json.dumps(letter)[1:-1])


MOST_COPIED = 75_000
"""Bytes that terminals take for the clipboard; many refuse more, and none says so."""


def copied_words(what: str, text: str, otherwise: str) -> str:
    """Return the sentence about a copy; no terminal says whether it took it.

    >>> copied_words("#3 as JSON", "{}", "...")
    'Copied #3 as JSON, 2 B.'
    """
    number = len(text.encode("utf-8", "replace"))
    if number <= MOST_COPIED:
        return f"Copied {what}, {size(number)}."
    return f"Copied {what}, {size(number)}, to the terminal, but many terminals refuse that much: {otherwise}"


def owner_name(profile: str | None, group_key: str | None) -> str:
    """Return the name of a profile, as it is recorded.

    >>> owner_name("acme", "company"), owner_name("ada", None), owner_name(None, None)
    ('company:acme', 'ada', '-')
    """
    return profile or "-" if group_key is None else f"{group_key}:{profile}"


def clipped(text: str, length: int) -> str:
    """Return at most so many characters; an ellipsis stands for what is cut.

    >>> clipped("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= length else text[: max(length - 1, 0)] + "…"
