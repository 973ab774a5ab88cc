"""Looks of states: glyph, word and colour together, so that no one of them is needed. Pure."""

from dataclasses import dataclass

from recorder import State

__all__ = ["LOOKS", "PROBLEMS", "Look"]


@dataclass(frozen=True, slots=True)
class Look:
    """Look of a state.

    Attributes:
        glyph: One cell.
        word: What it is called.
        short: In few cells.
        style: A colour of the theme, as Textual's ``Content`` takes it.
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
    State.SENDING: Look("↻", "sending", "send", "$text-accent"),
    State.WAITING: Look("…", "waiting", "wait", "$text-warning"),
    State.IN_DOUBT: Look("?", "in doubt", "doubt", "$text-warning"),
    State.SHIPPED: Look("✓", "shipped", "ship", "$text-success"),
    State.REJECTED: Look("✗", "rejected", "rej", "$text-error"),
    State.DISCARDED: Look("⊘", "discarded", "disc", "$text-muted"),
    State.FORGOTTEN: Look("∅", "forgotten", "forg", "$text-muted"),
    State.LOST: Look("†", "lost", "lost", "$text-error"),
}

PROBLEMS = (State.IN_DOUBT, State.REJECTED, State.WAITING, State.LOST)
"""States that may need a person: the key for problems goes to them."""
