"""Completion in shells: words of filters, journals, ids of profiles. `click` has the rest, and the shells' scripts."""

import re
from collections import Counter
from contextlib import suppress
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from recorder.model.errors import RestanteError
from recorder.model.filters import KEYS
from tui.text.filter_words import FILTER_WORDS, begun_id, completions

__all__ = ["filter_items", "journal_items", "profile_items"]

_LOOKED_AT = 2_000  # entries, the newest: there is no index over profiles, and a shell waits
_UNQUOTED = re.compile(r"[\w@%+:,./-]+")  # any shell takes it as it is


def filter_items(context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Return words of a filter that begin so."""
    word = _whole([*(context.params.get("words") or []), begun])
    found = _completed(context, word)
    if len(found) == 1 and found[0].endswith("="):  # a shell would put a blank behind it
        found = _completed(context, found[0]) or found
    before = len(word) - len(begun)
    sentences = dict(FILTER_WORDS)
    return [CompletionItem(one[before:], help=sentences.get(one)) for one in found]


def _completed(context: click.Context, word: str) -> list[str]:
    id_ = begun_id(word)
    profiles = _profiles(context, id_) if id_ is not None else []
    return [one.word for one in completions(word, profiles=profiles)]


def _whole(words: list[str]) -> str:
    """Return the last word: Bash takes "state=rej" for three words, and replaces the third.

    >>> _whole(["op=add", "state", "=", "rej"]), _whole(["state", ""]), _whole(["ada", "state="])
    ('state=rej', 'state=', 'state=')
    """
    match words:
        case [*_, key, "=", value]:
            return f"{key}={value}"
        case [*_, key, ""] if key.removesuffix("!") in KEYS:  # of "state=" nothing but the key is told
            return f"{key}="
    return words[-1]


def journal_items(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Return the databases whose path begins so; where there are none, any file, which the shell looks for."""
    folder, slash, name = begun.rpartition("/")
    with suppress(OSError):
        files = sorted(file.name for file in Path(folder or slash or ".").iterdir() if file.suffix == ".db")
        if found := [f"{folder}{slash}{file}" for file in files if file.startswith(name)]:
            return [CompletionItem(file) for file in found]
    return [CompletionItem(begun, type="file")]


def profile_items(context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Return ids of profiles that were recorded lately and begin so."""
    return [CompletionItem(id_) for id_, _ in _profiles(context, begun)]


def _profiles(context: click.Context, begun: str) -> list[tuple[str, int]]:
    from recorder import JournalReader  # most completions read no journal

    with suppress(RestanteError, OSError), JournalReader(Path(context.params["path"])) as reader:
        ids = Counter(entry.profile for entry in reader.entries(limit=_LOOKED_AT) if entry.profile)
        return sorted(
            item for item in ids.items() if item[0].startswith(begun) and _UNQUOTED.fullmatch(item[0])
        )
    return []
