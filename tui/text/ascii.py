"""Text for terminals that show ASCII only: own glyphs by their twins, anything else spelled out. Pure."""

import re
from collections.abc import Iterator

from rich.cells import cell_len

__all__ = ["ascii_fields", "plain"]

_FIELDS = re.compile(r"(\S+(?: \S+)*)| +")
_TWINS = str.maketrans(
    {
        "○": "o",
        "↻": "~",
        "✓": "+",
        "✗": "x",
        "⊘": "-",
        "∅": "0",
        "†": "!",
        "…": "...",
        "►": ">",
        "▲": "^",
        "▼": "v",
        "»": ">",
        "→": "->",
        "←": "<-",
        "↑": "up",
        "↓": "down",
        "\u2013": "-",
        "●": "*",
        "‖": "=",
        "·": ".",
        "⭘": "o",
        **{chr(code): "+" for code in range(0x2500, 0x2580)},  # corners and crossings
        **dict.fromkeys("─━═╸╺╴╶╾╼", "-"),
        **dict.fromkeys("│┃║╷╵", "|"),
        **{chr(code): " " for code in range(0x2580, 0x25A0)},  # blocks: their colours show
        **dict.fromkeys("▌▐▏▎▕", "|"),
        "█": "#",
        "▔": "-",
    }
)
# One block alone is the end of a scroll bar, whose colours show; several are a sparkline.
_SPARKLINE = re.compile("[▁▂▃▅▆▇█]{4,}")
_BARS = str.maketrans("▁▂▃▅▆▇█", "_.:=+*#")


def plain(text: str) -> str:
    r"""Return text as ASCII.

    >>> plain("✗ rejected"), plain("naïve"), plain("▁▁▅█")
    ('x rejected', 'na\\xefve', '__=#')
    """
    return _drawn(text).translate(_TWINS).encode("ascii", "backslashreplace").decode()


def ascii_fields(line: str) -> Iterator[tuple[int, str]]:
    r"""Yield a line's characters as ASCII, each with the place it comes from; together they take as many cells.

    What is spelled out takes the blanks behind it, up to the next column, and is cut there.

    >>> "".join(text for _, text in ascii_fields("✗ naïve    1  名前"))
    'x na\\xefve 1  \\u54'
    """
    line = _drawn(line)
    debt = 0  # cells that a field took more than it had
    for field in _FIELDS.finditer(line):
        begin, end = field.span()
        if field[1] is None:
            blanks = end - begin
            yield from ((begin, " ") for _ in range(blanks - debt))
            debt = 0
            continue
        following = len(line) - len(line[end:].lstrip(" ")) - end
        spare = following - bool(line[end + following :]) if following else 0
        space = cell_len(field[1]) + max(spare, 0)
        spelled = [(begin + place, letter) for place, char in enumerate(field[1]) for letter in plain(char)]
        spelled = spelled[:space]
        debt = len(spelled) - cell_len(field[1])
        yield from spelled


def _drawn(text: str) -> str:
    return _SPARKLINE.sub(lambda match: match[0].translate(_BARS), text)
