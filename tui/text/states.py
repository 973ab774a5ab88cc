"""Looks of states: glyph, word and colour together, so that no one of them is needed. Pure."""

from dataclasses import dataclass

from recorder import State

__all__ = ["LOOKS", "MUTED", "PROBLEMS", "Look"]

MUTED = "dim"
"""Style of what matters less: an attribute, for the muted colour of some themes is brighter than their text."""


@dataclass(frozen=True, slots=True)
class Look:
    """Look of a state.

    Attributes:
        glyph: One cell.
        word: What it is called.
        short: In few cells.
        style: A colour of the theme, or `MUTED`, as Textual's ``Content`` takes it.
    """

    glyph: str
    word: str
    short: str
    style: str

    @property
    def mark(self) -> str:
        """Glyph and word."""
        return f"{self.glyph} {self.word}"


LOOKS: dict[State, Look] = {
    State.PENDING: Look("○", "pending", "pend", "$text-primary"),
    State.SENDING: Look("↻", "sending", "send", "$text-success"),
    State.WAITING: Look("…", "waiting", "wait", "$text-accent"),
    State.IN_DOUBT: Look("?", "in doubt", "doubt", "$text-warning"),
    State.SHIPPED: Look("✓", "shipped", "ship", MUTED),
    State.REJECTED: Look("✗", "rejected", "rej", "$text-error"),
    State.DISCARDED: Look("⊘", "discarded", "disc", MUTED),
    State.FORGOTTEN: Look("∅", "forgotten", "forg", MUTED),
    State.LOST: Look("†", "lost", "lost", "$text-error"),
}

PROBLEMS = (State.IN_DOUBT, State.REJECTED, State.WAITING, State.LOST)
"""States that may need a person: the key for problems goes to them."""
