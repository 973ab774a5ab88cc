"""`restante edit`: give an entry another message."""

import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from recorder import Entry, InvalidOperation, Journal, JournalReader, State
from recorder.journal.decisions import Verb
from tui.cli import options
from tui.cli.lines import parse_object, whole_text
from tui.consequences import of_edit
from tui.text.format import escaped_json, printable
from tui.text.whatif import table

__all__ = ["edit_command"]

_NOTHING_DONE = 1


@click.command("edit")
@click.argument("seq", metavar="SEQ", type=click.IntRange(min=1))
@options.journal
@click.option(
    "--message", metavar="JSON", help="The new message, instead of opening an editor; - reads standard input."
)
@click.pass_context
def edit_command(context: click.Context, seq: int, path: Path, message: str | None) -> None:
    """Edit the message of entry SEQ in $VISUAL or $EDITOR; it is sent in its old place.

    Entries that are pending, waiting, rejected or in doubt can be edited. The message keeps its lane, its
    profile and a single operator. If you leave it unchanged or empty it, nothing is changed (exit code 1). If
    the new text is refused, it is kept in a file.

    \b
    Examples:
      restante edit 812
      restante edit 812 --message '{"$distinct_id": "ada", "$add": {"visits": 2}}'
      restante edit 812 --message - < corrected.json
    """
    with JournalReader(path) as reader:
        entry = _editable(reader, seq)
    if message == "-":
        context.exit(_edit(path, entry, whole_text(click.open_file("-", "rb"))))
    if message is not None:
        context.exit(_edit(path, entry, os.fsencode(message)))
    with _in_editor(entry, path) as text:
        code = _edit(path, entry, text)
    context.exit(code)


def _editable(reader: JournalReader, seq: int) -> Entry:
    entry = reader.entry(seq)
    if entry is None:
        raise options.BadInput(f"There is no entry {seq:,}; `restante entries` lists them.")
    # What can be discarded is what can be edited. The journal looks again: this is to spare a person the work.
    for reason in reader.weigh(Verb.DISCARD, f"seq={seq}").refused:
        raise click.ClickException(f"Entry {seq:,} cannot be edited: {reason}.")
    if entry.sends:
        options.narrate(
            f"Entry {seq:,} may have been applied already; the edited message would be applied on top of that."
        )
    return entry


def _edit(path: Path, entry: Entry, text: bytes) -> int:
    message = _new_message(entry, text)
    if message is None:
        return _NOTHING_DONE
    lines: list[str] = []
    try:
        if width := options.table_width(sys.stderr):  # for a person only
            with JournalReader(path) as reader:
                lines = list(table(*of_edit(reader, entry, message), width))
        with Journal(path) as journal:
            journal.edit(entry.seq, message)
    except InvalidOperation as error:
        hint = "" if error.hint == InvalidOperation.hint else f"\n{error.hint}"
        raise options.BadInput(printable(str(error)) + hint) from error
    options.narrate(f"Entry {entry.seq:,} will be sent as edited.")
    for line in lines:
        options.narrate(line)
    return 0


def _new_message(entry: Entry, text: bytes) -> dict[str, Any] | None:
    if not text.strip():
        options.narrate("The message is empty. Nothing was changed.")
        return None
    try:
        message = parse_object(text)
    except InvalidOperation as error:
        raise options.BadInput(printable(str(error))) from error
    if _alike(message, entry):
        retry = (
            f"; `restante retry seq={entry.seq}` sends it as it is" if entry.state is State.REJECTED else ""
        )
        options.narrate(f"The message is the same as before. Nothing was changed{retry}.")
        return None
    return message


def _alike(message: dict[str, Any], entry: Entry) -> bool:
    try:
        return json.dumps(message) == json.dumps(entry.message)
    except RecursionError:  # the journal says what is wrong with it
        return False


@contextmanager
def _in_editor(entry: Entry, path: Path) -> Iterator[bytes]:
    """Yield the text as edited; its file is kept if the text is refused."""
    folder = Path(tempfile.mkdtemp(prefix="restante-"))
    file = folder / f"entry-{entry.seq}.json"
    file.touch(0o600)
    file.write_text(escaped_json(entry.message, indent=2) + "\n", encoding="utf-8")
    before = file.read_bytes()
    try:
        _open_editor(file)
        yield file.read_bytes() if file.exists() else b""
    except BaseException:
        if file.exists() and file.read_bytes() != before:
            file.chmod(0o600)  # editors may have put another in its place
            where = shlex.quote(str(file))
            again = f"restante edit {entry.seq} --message - {options.journal_hint(path)} < {where}"
            options.narrate(f"Your text is kept in {where}\nCorrect it, then run:\n  {again}")
        else:
            shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)


def _open_editor(file: Path) -> None:
    try:
        click.edit(filename=str(file))
    except ValueError as error:  # quotes that do not match
        raise options.BadInput(f"$VISUAL or $EDITOR is not a command: {error}") from error
    except click.ClickException as error:  # it is missing, or failed
        raise click.ClickException(
            f"{error.message}; correct $VISUAL or $EDITOR, or give --message"
        ) from error
