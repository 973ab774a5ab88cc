"""The prompt for words of a filter: it completes them, tells what is wrong, and brings back earlier ones."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from tui.browser.gateway_profiles import ProfilesGateway
from tui.browser.widgets.prompt import Prompt
from tui.browser.work import Asking
from tui.text.filter_words import Completion, begun_id, completions, quoted, refusal

__all__ = ["FilterPrompt"]

_HINT = "state=rejected op=add profile=ada since=2h"


class FilterPrompt(Prompt, Asking):
    """The prompt.

    Args:
        profiles: Collects the ids that complete ``profile=``.
        history: What was entered before, oldest first.
    """

    def __init__(self, profiles: ProfilesGateway, history: Iterable[str]) -> None:
        super().__init__()
        self._profiles = profiles
        self._ids: tuple[str | None, Sequence[tuple[str, int]]] = (None, ())  # those that begin so
        self.counts: Mapping[str, int] = {}
        """Entries by state."""
        self.history = tuple(history)
        """Filters entered so far, oldest first."""

    def ask_words(self, purpose: str, sign: str, words: Iterable[str]) -> None:
        """Show the prompt with some words to begin with; see `open`."""
        self._ids = (None, ())
        text = " ".join(map(quoted, words))
        self.open(purpose, sign, text, _HINT, check=refusal, complete=self._completions, history=self.history)

    def keep(self, text: str) -> None:
        """Take a text into the history, as the latest."""
        self.history = (*(before for before in self.history if before != text), text)

    def _completions(self, word: str) -> list[Completion]:
        start = begun_id(word)
        if start is not None and start != self._ids[0]:
            self._ids = (start, ())
            self._read_ids(start)
        return completions(word, counts=self.counts, profiles=self._ids[1])

    def _read_ids(self, start: str) -> None:
        """Read the ids that begin so, again and again while they are being collected."""

        def show(found: tuple[Sequence[tuple[str, int]], bool]) -> None:
            ids, complete = found
            if not self.is_open or self._ids[0] != start:
                return
            if ids != self._ids[1]:
                self._ids = (start, ids)
                self.offer_again()
            if not complete:
                self._read_ids(start)

        self.ask(partial(self._profiles.starting, start), show, group="ids")
