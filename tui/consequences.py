"""Reads of what a question would do: the first profiles that it is about, each from its own entries."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from recorder import Entry, JournalDamaged, JournalReader
from recorder.journal.decisions import Decision, Verb
from recorder.reading.source import never
from tui.text.history import History, history_of, start_of
from tui.text.standpoint import owner_of
from tui.text.whatif import WhatIf, if_decided, if_edited

__all__ = ["Consequences", "history_read", "of_decision", "of_edit"]

_MOST_PROFILES = 3


class Consequences(NamedTuple):
    """Profiles as the answers to a question would leave them.

    Attributes:
        profiles: The first profiles.
        others: How many more there are.
    """

    profiles: list[WhatIf]
    others: int = 0


def of_decision(
    reader: JournalReader, weighed: Mapping[Verb, Decision], stop: Callable[[], bool] = never
) -> Consequences:
    """Return what each of these decisions would make of the profiles of the entries that it takes.

    Args:
        reader: The journal.
        weighed: The decisions; they take the same entries.
        stop: Asked between reads; once it returns True, what is returned is of no use.
    """
    verbs = [verb for verb in Verb if verb in weighed]
    numbers = weighed[verbs[0]].numbers
    harmless = frozenset(seq for decision in weighed.values() for seq in decision.harmless)
    taken, profiles = frozenset(numbers), reader.profiles_of(numbers)

    def make(history: History) -> WhatIf:
        return if_decided(history, taken, verbs, harmless)

    few = profiles[:_MOST_PROFILES]
    first = [_what_if(reader, each.profile, each.group_key, stop, make) for each in few]
    return Consequences(first, len(profiles) - len(first))


def of_edit(
    reader: JournalReader, entry: Entry, message: Any, stop: Callable[[], bool] = never
) -> Consequences:
    """Return what another message would make of an entry's profile; nothing for one that has none."""
    if entry.operator is None or entry.profile is None:
        return Consequences([])

    def make(history: History) -> WhatIf:
        return if_edited(history, entry, json.dumps(message))

    return Consequences([_what_if(reader, entry.profile, entry.group_key, stop, make)])


def _what_if(
    reader: JournalReader,
    profile: str,
    group_key: str | None,
    stop: Callable[[], bool],
    make: Callable[[History], WhatIf],
) -> WhatIf:
    try:
        return make(history_read(reader, profile, group_key, stop))
    except (JournalDamaged, ValueError, RecursionError):  # a person may decide about what cannot be read, too
        return WhatIf(owner_of(profile, group_key), (), (), simulated=False)


def history_read(
    reader: JournalReader, profile: str, group_key: str | None, stop: Callable[[], bool]
) -> History:
    """Return the entries of one profile, read at one moment."""
    numbers = reader.numbers_of(profile, group_key, stop=stop)
    kept, rows = reader.unpruned(
        lambda: (reader.baseline_of(profile, group_key), reader.rows_of(numbers, stop))
    )
    return history_of(profile, group_key, rows, looked_at=0, start=start_of(kept))
