"""Meanings of a typed text."""

import pytest

from tui.text.jump import jumps

ACTIONS = [("Next problem (e)", "in doubt, rejected or held back"), ("Ship (s)", "send what can be sent now")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["Next problem (e): in doubt, rejected or held back", "Ship (s): send what can be sent now"]),
        ("#1,812 ", ["Go to entry #1,812", "Open profile #1,812"]),
        ("9" * 30, [f"Go to entry #{int('9' * 18):,}", f"Open profile {'9' * 30}"]),
        ("²", ["Open profile ²"]),
        ("visitor-070", ["Open profile visitor-070"]),
        ("company:acme", ["Open profile company:acme", "Open group company:acme"]),
        (":acme", ["Open profile :acme"]),
        ("sh", ["Ship (s): send what can be sent now", "Open profile sh"]),
        ("DOUBT next", ["Open profile DOUBT next", "Next problem (e): in doubt, rejected or held back"]),
        ("\x1b[31m", ["Open profile \\x1b[31m"]),
    ],
)
def test_text_may_mean_places(text, words):
    assert [jump.words for jump in jumps(text, ACTIONS)] == words
