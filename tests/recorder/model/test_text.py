"""Text that is safe on a terminal: names as people write them, and nothing that a terminal obeys."""

import pytest

from recorder.model.text import printable


@pytest.mark.parametrize(
    "name",
    [
        "نام\u200cمن",
        "می\u200cرود",
        "क्\u200dष",
        "ශ්\u200dරී",
        "👨\u200d👩\u200d👧\u200d👦",
        "👩🏽\u200d🚀",
        "🏳\ufe0f\u200d🌈",
        "❤\ufe0f\u200d🔥",
    ],
)
def test_joined_names_stay_themselves(name):
    assert printable(f"to {name}, 3") == f"to {name}, 3"


@pytest.mark.parametrize("joiner", ["\u200c", "\u200d"])
@pytest.mark.parametrize(
    "around", ["a{}b", "{}", "نا{}", "{}نام", "ж{}ж", "हि{}न", "👩{}a", "a{}👩", "نا{0}{0}م", "क्{}"]
)
def test_other_joiners_are_spelled_out(joiner, around):
    """They would tell two names apart that look alike."""
    assert printable(around.format(joiner)) == around.format(ascii(joiner)[1:-1])


def test_nothing_else_is_let_through():
    letters = (chr(code) for code in (*range(0x11000), *range(0xE0000, 0xE1000)))
    others = [letter for letter in letters if not letter.isprintable() and letter not in "\u200c\u200d"]
    assert "\u202e" in others
    assert printable("न्".join(["न", *others, "न"])).isprintable()
