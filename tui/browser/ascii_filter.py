"""The line filter of a browser that draws ASCII only."""

from itertools import groupby

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from tui.text.ascii import ascii_fields

__all__ = ["AsciiFilter"]


class AsciiFilter(LineFilter):
    """Replaces whatever is not ASCII, just before a line is drawn; lines keep their width."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments of a line as ASCII."""
        del background
        line = "".join(segment.text for segment in segments)
        if line.isascii():
            return segments
        styles = [segment.style for segment in segments for _ in segment.text]
        letters = ((styles[place], letter) for place, letter in ascii_fields(line))
        return [
            Segment("".join(letter for _, letter in group), style)
            for style, group in groupby(letters, key=lambda pair: pair[0])
        ]
