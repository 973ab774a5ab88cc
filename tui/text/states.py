"""How states look: glyph, word and colour together, so that none of them is needed to tell two apart. Pure."""

from dataclasses import dataclass

from recorder import Entry, State

__all__ = ["ASCII", "LOOKS", "PROBLEMS", "Look", "plain", "state_words"]


@dataclass(frozen=True, slots=True)
class Look:
    """How a state is shown.

    Attributes:
        glyph: One cell.
        ascii: Its twin for terminals without more.
        word: What it is called.
        short: In few cells.
        style: A colour of the theme, as Textual's ``Content`` takes it.
    """

    glyph: str
    ascii: str
    word: str
    short: str
    style: str

    def mark(self, *, ascii_only: bool = False) -> str:
        """Glyph and word."""
        return f"{self.ascii if ascii_only else self.glyph} {self.word}"


LOOKS: dict[State, Look] = {
    State.PENDING: Look("○", "o", "pending", "pend", "$text-primary"),
    State.SENDING: Look("↻", "~", "sending", "send", "$text-accent"),
    State.WAITING: Look("…", ".", "waiting", "wait", "$text-warning"),
    State.IN_DOUBT: Look("?", "?", "in doubt", "doubt", "$text-warning"),
    State.SHIPPED: Look("✓", "+", "shipped", "ship", "$text-success"),
    State.REJECTED: Look("✗", "x", "rejected", "rej", "$text-error"),
    State.DISCARDED: Look("⊘", "-", "discarded", "disc", "$text-muted"),
    State.FORGOTTEN: Look("∅", "0", "forgotten", "forg", "$text-muted"),
    State.LOST: Look("†", "!", "lost", "lost", "$text-error"),
}

PROBLEMS = (State.IN_DOUBT, State.REJECTED, State.WAITING, State.LOST)
"""What ``e`` goes to: what a person may have to do something about."""

ASCII = str.maketrans(
    {
        **{look.glyph: look.ascii for look in LOOKS.values()},
        **dict.fromkeys("│┃▌▐║", "|"),
        **dict.fromkeys("─━═", "-"),
        **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯", "+"),
        "►": ">",
        "▲": "^",
        "▼": "v",
        "»": ">",
        "→": "->",
        "\u2013": "-",
        "●": "*",
        "‖": "=",
        "·": ".",
        "█": "#",
        "↑": "up",
        "↓": "down",
        "←": "left",
    }
)
"""Our own glyphs to ASCII, for ``str.translate``; data has its own way, see `plain`."""


def plain(text: str) -> str:
    r"""Text for a terminal that shows ASCII only: our glyphs by their twins, anything else spelled out.

    >>> plain("✗ rejected"), plain("naïve")
    ('x rejected', 'na\\xefve')
    """
    return text.translate(ASCII).encode("ascii", "backslashreplace").decode()


def state_words(entry: Entry, *, ascii_only: bool = False) -> str:
    """An entry's state with its marks."""
    marks = ", possibly twice" * entry.possibly_twice + ", out of order" * entry.out_of_order
    return LOOKS[entry.state].mark(ascii_only=ascii_only) + marks
