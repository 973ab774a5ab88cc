"""Text by the cells it takes on a terminal, not by its characters. Pure."""

from rich.cells import cell_len, chop_cells, set_cell_size

__all__ = ["fitted", "folded"]


def fitted(text: str, width: int, *, right: bool = False) -> str:
    """Text that takes exactly so many cells; an ellipsis where something is missing.

    >>> fitted("abcdef", 4), fitted("ab", 4, right=True), fitted("名前です", 5)
    ('abc…', '  ab', '名前…')
    """
    if width <= 0:
        return ""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…"
    return " " * (width - length) + text if right else text + " " * (width - length)


def folded(text: str, width: int) -> list[str]:
    """Text as lines of at most so many cells, broken at blanks where that can be.

    >>> folded("waits behind entry 812", 12)
    ['waits behind', 'entry 812']
    """
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if cell_len(longer) <= width:
                line = longer
                continue
            if line:
                lines.append(line)
            *whole, line = chop_cells(word, max(width, 1)) or [""]
            lines.extend(whole)
        lines.append(line)
    return lines
