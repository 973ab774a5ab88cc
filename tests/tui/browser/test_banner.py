"""The banner's words: what happened, and what to do where a line has space for it."""

import pytest

from recorder import JournalBusy, JournalDamaged, JournalError
from tui.browser.app import banner_words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (JournalBusy("k.db: locked"), "The writer is busy"),
        (JournalDamaged("k.db: odd"), "The journal is damaged: `restante salvage` repairs it (k.db: odd)"),
        (JournalError("k.db: gone"), "k.db: gone"),
    ],
)
def test_banner_names_the_remedy(error, words):
    assert banner_words(error, str(error)) == words
