"""Text by the cells it takes on a terminal, not by its characters. Pure."""

from collections.abc import Iterable

from rich.cells import cell_len, chop_cells, set_cell_size, split_graphemes

__all__ = ["fitted", "folded", "middle_cut"]

_FLAGS = range(0x1F1E6, 0x1F200)  # regional indicators: two of them are a flag
_TONES = range(0x1F3FB, 0x1F400)  # of the skin, of the letter before


def fitted(text: str, width: int, *, right: bool = False) -> str:
    """Return text of exactly so many cells; an ellipsis stands for what is cut.

    >>> fitted("abcdef", 4), fitted("ab", 4, right=True), fitted("名前です", 5)
    ('abc…', '  ab', '名前…')
    """
    if width <= 0:
        return ""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…"
    return " " * (width - length) + text if right else text + " " * (width - length)


def middle_cut(text: str, width: int) -> str:
    """Return text of at most so many cells, its beginning and its end; an ellipsis stands for what is between.

    Ids that a program made differ at their end.

    >>> middle_cut("visitor-0000-070", 13), middle_cut("ada", 13), middle_cut("名前は全角です", 7)
    ('visitor-…-070', 'ada', '名前…す')
    """
    if cell_len(text) <= width:
        return text
    graphemes = _graphemes(text)
    end = _taken(reversed(graphemes), (width - 1) // 3) if width > 1 else 0
    tail = graphemes[len(graphemes) - end :]
    left = width - 1 - sum(map(cell_len, tail))
    return "".join([*graphemes[: _taken(graphemes, left)], "…", *tail]) if width > 0 else ""


def _taken(graphemes: Iterable[str], width: int) -> int:
    """Return how many graphemes, from the first on, take at most so many cells."""
    number = 0
    for grapheme in graphemes:
        width -= cell_len(grapheme)
        if width < 0:
            break
        number += 1
    return number


def _graphemes(text: str) -> list[str]:
    """Return what a terminal draws as one letter each: rich's graphemes, with flags and tones of the skin whole."""
    if text.isascii():
        return list(text)
    found: list[str] = []
    for start, end, _ in split_graphemes(text)[0]:
        part = text[start:end]
        flag = ord(part[0]) in _FLAGS and found and len(found[-1]) == 1 and ord(found[-1]) in _FLAGS
        if found and (flag or ord(part[0]) in _TONES):
            found[-1] += part
        else:
            found.append(part)
    return found


def folded(text: str, width: int) -> list[str]:
    """Fold text into lines of at most so many cells, at blanks if possible; indentation is kept.

    >>> folded("waits behind entry 812", 12)
    ['waits behind', 'entry 812']
    """
    lines: list[str] = []
    for paragraph in text.split("\n"):
        # What is broken off stands under its beginning, but for where hardly any space would be left.
        indent = " " * min(len(paragraph) - len(paragraph.lstrip(" ")), max(width // 2, 0))
        line = ""
        for word in paragraph.lstrip(" ").split(" "):
            longer = f"{line} {word}" if line else word
            if cell_len(longer) <= width - len(indent):
                line = longer
                continue
            if line:
                lines.append(indent + line)
            *whole, line = chop_cells(word, max(width - len(indent), 1)) or [""]
            lines.extend(indent + part for part in whole)
        lines.append(indent + line if line else "")
    return lines
