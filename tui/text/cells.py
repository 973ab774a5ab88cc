"""Text by the cells it takes on a terminal, not by its characters. Pure."""

from rich.cells import cell_len, chop_cells, set_cell_size

__all__ = ["fitted", "folded"]


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
