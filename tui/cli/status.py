"""`restante status`: the state of shipping, and the accounts."""

import sys
import time
from pathlib import Path

import click

from recorder import State, Statistics
from recorder.model.attention import needs
from recorder.reading.metrics import Known, families_of, openmetrics
from recorder.reading.sentence import shipping_of
from recorder.reading.status import StatusReader
from tui.cli import options
from tui.text.accounts import senders_line
from tui.text.facts import Facts
from tui.text.format import age, printable, size

__all__ = ["status_command"]

_ALWAYS_SHOWN = (State.PENDING, State.IN_DOUBT, State.REJECTED, State.SHIPPED)


@click.command("status")
@options.journal
@click.option("--max-age", type=options.span, help="Exit 1 if an unsent entry is older: 90s, 5m, 1h, 7d.")
@options.json_flag
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "openmetrics"]),
    default="text",
    show_default=True,
    help="The form of the output; openmetrics is for Prometheus.",
)
@click.pass_context
def status_command(
    context: click.Context, path: Path, max_age: float | None, for_programs: bool, form: str
) -> None:
    """Show what needs a person, the state of shipping, and the accounts.

    Exits 1 if something needs a person: an entry is rejected, in doubt or older than --max-age, shipping is paused, or
    the journal is full or damaged. `doctor` checks everything else that can be wrong with it. On a terminal,
    this is the browser's home view; elsewhere, a sentence and the accounts. At most 10,000 old events are
    counted.

    \b
    Examples:
      restante status -j kiosk.db
      restante status --json | jq .accounts.unsent
      restante status --format openmetrics
    """
    if for_programs and form != "text":
        raise click.UsageError(f"--json cannot be combined with --format {form}.")
    with StatusReader(path) as reader:
        statistics, shipper = reader.counts(), reader.shipping()
        reader.check_kept()
        old_events = reader.old_events()
    now = time.time()
    shipping = shipping_of(statistics, shipper, now=now)
    if form == "openmetrics":
        options.say(openmetrics(families_of({str(path): Known(statistics, shipping, shipper)})).rstrip("\n"))
    elif for_programs:
        state = {**options.as_dict(shipping), "destination": shipper.service, "old_events": old_events}
        state["senders"] = {
            name: {"messages": messages, "last": last} for name, (messages, last) in shipper.senders.items()
        }
        options.write_json(
            {
                "sentence": state.pop("sentence"),
                "shipping": state,
                "accounts": {**options.as_dict(statistics), "unsent": statistics.unsent},
            }
        )
    elif sys.stdout.isatty():
        facts = Facts(now=now, statistics=statistics, shipper=shipper, shipping=shipping)
        _draw(path, facts, max_age, old_events)
    else:
        lines = [shipping.sentence, *_accounts(statistics)]
        lines += [_by_import(old_events)] * bool(old_events)
        lines += [f"ships to: {printable(shipper.service)}"] if shipper.service else []
        lines += [senders_line(shipper.senders, now)] if shipper.senders else []
        options.say("\n".join(lines))
    context.exit(int(bool(needs(statistics, shipper, now=now, max_age=max_age))))


def _draw(path: Path, facts: Facts, max_age: float | None, old_events: int) -> None:
    """Show the browser's first picture, as wide as the terminal."""
    from recorder import JournalReader  # a pipe needs neither words of failures nor the flow
    from tui.text.home import Home, home_lines

    with JournalReader(path) as reader:
        home = Home(facts=facts, failures=tuple(reader.failures()), flow=reader.flow(), max_age=max_age)
    for line in home_lines(path.name, home, options.table_width()):
        options.say(*line)
    if old_events:
        options.say(_by_import(old_events))


def _by_import(old_events: int) -> str:
    return f"events older than four days, which go to /import: {old_events:,}"


def _accounts(statistics: Statistics) -> list[str]:
    parts = []
    for state in State:
        number = getattr(statistics, state.value)
        if number or state in _ALWAYS_SHOWN:
            parts.append(f"{state.value.replace('_', ' ')} {number:,}")
    balance = "" if statistics.adds_up else "  DOES NOT ADD UP"
    lines = [f"recorded {statistics.recorded:,} = {' + '.join(parts)}{balance}"]
    if statistics.possibly_twice:
        lines.append(f"possibly applied twice: {statistics.possibly_twice:,}")
    if statistics.out_of_order:
        lines.append(f"out of order: {statistics.out_of_order:,}")
    if statistics.oldest_pending_seconds is not None:
        lines.append(f"unsent: {statistics.unsent:,}")
        lines.append(f"oldest unsent: {age(statistics.oldest_pending_seconds)}")
    kept = f", {statistics.kept:,} of {statistics.recorded:,} entries kept" if statistics.pruned else ""
    lines.append(f"journal: {size(statistics.bytes)}{kept}")
    return lines
