"""`restante export`: write entries as lines that `restante record` reads."""

import sys
from pathlib import Path

import click

from recorder import Entry, JournalReader, Lane, State
from tui.cli import options
from tui.text.format import count

__all__ = ["export_command"]

_PROFILES = {Lane.PEOPLE, Lane.GROUPS}  # `record` takes no other lane's messages
_EMPTY = {State.FORGOTTEN, State.LOST}


@click.command("export")
@options.filter_words
@options.journal
def export_command(words: list[str], path: Path) -> None:
    """Write updates as JSON Lines, oldest first: pending ones, unless the filter names states.

    A pending entry is written as its message, any other as {"state": ..., "message": {...}}. `record` reads the
    latter only with --again, for it may be applied a second time. Events and imports are left out.

    \b
    Examples:
      restante export > pending.jsonl
      restante export state=rejected error=numeric
      restante export profile=ada state!=shipped | wc -l
    """
    if not any(word.startswith(("state=", "state!=")) for word in words):
        words = [*words, f"state={State.PENDING}"]
    written, left_out, empty = 0, 0, 0
    with JournalReader(path) as reader:
        for entry in reader.stream(words):
            if entry.state in _EMPTY:
                empty += 1
            elif entry.lane in _PROFILES:
                sys.stdout.write(f"{_line(entry)}\n")
                written += 1
            else:
                left_out += 1
    sys.stdout.flush()
    options.narrate(f"Exported {count(written, 'entry', 'entries')}.")
    if left_out:
        options.narrate(f"Left out {count(left_out, 'event or import', 'events and imports')}.")
    if empty:
        options.narrate(f"Left out {count(empty, 'entry', 'entries')} whose content is gone.")


def _line(entry: Entry) -> str:
    if entry.state is State.PENDING:
        return options.as_json(entry.message)
    return options.as_json({"state": entry.state, "message": entry.message})
