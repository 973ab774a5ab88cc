"""`restante retry` and `restante discard`: decide about entries that were set aside."""

import sys
from pathlib import Path

import click

from recorder import Journal, JournalReader, State
from recorder.journal.decisions import Decision, Verb
from tui.cli import options
from tui.consequences import of_decision
from tui.text.format import count, printable
from tui.text.whatif import table

__all__ = ["discard_command", "retry_command"]

_WIDTH = 100  # cells, of what no terminal shows
# `--all` leaves these out silently; a filter that matches them is told why.
_NEVER_TAKEN = {
    Verb.RETRY: frozenset(State) - {State.REJECTED, State.DISCARDED, State.IN_DOUBT},
    Verb.DISCARD: frozenset(State) - {State.PENDING, State.WAITING, State.REJECTED, State.IN_DOUBT},
}


@click.command("retry")
@options.filter_words
@options.journal
@click.option(
    "--all", "everything", is_flag=True, help="Retry every entry that can be retried; takes no filter."
)
@options.yes
@options.json_flag
@click.pass_context
def retry_command(
    context: click.Context, words: list[str], path: Path, everything: bool, yes: bool, for_programs: bool
) -> None:
    """Send entries again that are rejected, discarded or in doubt, at their own numbers.

    Shows how many entries match, how many may be applied twice, how many would be sent after later ones of
    their profile, and what becomes of the first profiles; then asks. Exits 1 if nothing was retried, or if some
    matching entries cannot be. `restante help entries` lists the filters.

    \b
    Examples:
      restante retry state=rejected error=numeric
      restante retry seq=812 --yes
      restante retry --all --yes --json
    """
    chosen = _chosen(Verb.RETRY, words, everything)
    context.exit(_decide(Verb.RETRY, chosen, path, yes=yes, for_programs=for_programs))


@click.command("discard")
@options.filter_words
@options.journal
@click.option(
    "--all", "everything", is_flag=True, help="Discard every entry that can be discarded; takes no filter."
)
@options.yes
@options.json_flag
@click.pass_context
def discard_command(
    context: click.Context, words: list[str], path: Path, everything: bool, yes: bool, for_programs: bool
) -> None:
    """Give up entries that are pending, waiting, rejected or in doubt. They are kept; `retry` sends them again.

    Shows how many entries match, and what becomes of the first profiles; then asks. Exits 1 if nothing was
    discarded, or if some matching entries cannot be. `restante help entries` lists the filters.

    \b
    Examples:
      restante discard state=rejected since=7d
      restante discard profile=ada state=in_doubt --yes
    """
    chosen = _chosen(Verb.DISCARD, words, everything)
    context.exit(_decide(Verb.DISCARD, chosen, path, yes=yes, for_programs=for_programs))


def _chosen(verb: Verb, words: list[str], everything: bool) -> list[str]:
    if everything and words:
        raise click.UsageError("Give a filter, or --all, not both.")
    if not (everything or words):
        raise click.UsageError(
            f"Which entries? Give a filter such as state=rejected, or --all to {verb} all."
        )
    return words or [f"state!={state}" for state in State if state in _NEVER_TAKEN[verb]]


def _decide(verb: Verb, words: list[str], path: Path, *, yes: bool, for_programs: bool) -> int:
    with JournalReader(path) as reader:
        weighed = reader.weigh(verb, words)
        if not yes or not weighed.entries:
            _tell(verb, weighed)
        if not yes:
            for line in table(
                *of_decision(reader, {verb: weighed}), options.table_width(sys.stderr) or _WIDTH
            ):
                options.narrate(line)
    if not weighed.entries:
        done = weighed
    elif options.go_ahead(f"{verb.capitalize()} {_entries(weighed)}?", yes=yes):
        with Journal(path) as journal:
            done = journal.retry(words) if verb is Verb.RETRY else journal.discard(words)
        if not for_programs:
            _tell(verb, done, done=True)
    else:
        return 1
    if for_programs:
        options.write_json(done)
    return int(not done.entries or bool(done.refused))


def _tell(verb: Verb, decision: Decision, *, done: bool = False) -> None:
    if not decision.entries:
        options.narrate(f"There is nothing to {verb}." if decision.refused else "No entry matches.")
    elif done and verb is Verb.DISCARD:
        options.narrate(f"Discarded {_entries(decision)}.")
    else:
        becomes = "sent again" if verb is Verb.RETRY else "given up"
        options.narrate(f"{_entries(decision)} will be {becomes}", (_hazards(decision), "$text-warning"), ".")
    if decision.counted and not done:
        options.narrate(
            f"{decision.counted:,} of them {'was' if decision.counted == 1 else 'were'} counted: "
            "`restante settle` reads from the profiles which were applied."
        )
    for reason, number in decision.refused.items():
        options.narrate(f"Skipped: {number:,} ({printable(reason)}).")


def _entries(decision: Decision) -> str:
    return count(decision.entries, "entry", "entries")


def _hazards(decision: Decision) -> str:
    parts = []
    if decision.possibly_twice:
        parts.append(f"{decision.possibly_twice:,} may be applied twice")
    if decision.out_of_order:
        parts.append(f"{decision.out_of_order:,} out of order, after later ones of the same profile")
    return f": {'; '.join(parts)}" if parts else ""
