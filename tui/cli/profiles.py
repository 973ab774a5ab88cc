"""`restante profiles`: profiles as predicted, or as shipped."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Any

import click
from rich.cells import cell_len

from recorder.model.limits import beyond_limits
from simulator import Profile, Simulator
from tui.cli import options
from tui.cli.lines import parse_json, whole_lines
from tui.text.cells import fitted, folded, middle_cut
from tui.text.format import count, owner_name, printable
from tui.text.states import MUTED

__all__ = ["profiles_command"]

_SHOWN = 3  # values beyond a limit
_NARROWEST = 40  # cells of a terminal that has columns
_WIDEST_ID = 36
_GAP = 2


@click.command("profiles")
@options.profile("profile_id", "[ID]", required=False)
@options.journal
@click.option(
    "--from",
    "source",
    type=click.File("rb"),
    help="Read update messages from a file, one per line (-: standard input).",
)
@click.option("--shipped-only", is_flag=True, help="Apply shipped entries only.")
@click.option("--groups", is_flag=True, help="Show groups instead of users.")
@options.json_flag
@click.pass_context
def profiles_command(
    context: click.Context,
    profile_id: str | None,
    path: Path,
    source: IO[bytes] | None,
    shipped_only: bool,
    groups: bool,
    for_programs: bool,
) -> None:
    """Show the profiles as they will be once all entries are shipped.

    On a terminal each profile takes one line, cut to fit; ID shows one in full. In a pipe, lines are never cut.
    Values beyond the limits that the service documents are reported on standard error.

    \b
    Examples:
      restante profiles -j kiosk.db
      restante profiles ada --json
      restante profiles --from updates.jsonl --json
    """
    if source is not None:
        simulator = Simulator.from_messages(_messages(source), history=False)
        if simulator.rejected:
            options.narrate(f"{count(len(simulator.rejected), 'malformed message')} had no effect.")
    else:
        simulator = Simulator.from_journal(path, shipped_only=shipped_only)
    profiles = list(simulator.groups.values() if groups else simulator.profiles.values())
    if profile_id is not None:
        profiles = [profile for profile in profiles if profile.id == profile_id]
        if not profiles:
            options.narrate(f"There is no profile {printable(profile_id)}.")
    if for_programs:
        options.write_json(_by_id(profiles, groups))
    else:
        width = options.table_width()
        for profile in profiles:
            for line in _lines(profile, width, whole=profile_id is not None):
                options.say(*line)
    _tell_excesses(profiles)
    context.exit(int(profile_id is not None and not profiles))


def _tell_excesses(profiles: list[Profile]) -> None:
    number, shown = 0, []
    for profile in profiles:
        for excess in beyond_limits(profile):
            number += 1
            if number <= _SHOWN:
                shown.append(f"  {printable(f'{owner_name(profile.id, profile.group_key)} {excess}')}")
    if number:
        options.narrate(
            f"{count(number, 'value')} beyond the limits of the service, which may cut or drop them:"
        )
        for line in shown:
            options.narrate(line)
        if number > _SHOWN:
            options.narrate(f"  and {number - _SHOWN:,} more")


def _by_id(profiles: list[Profile], groups: bool) -> dict[str, Any]:
    if not groups:
        return {profile.id: profile for profile in profiles}
    by_key: dict[str, Any] = {}
    for profile in profiles:
        by_key.setdefault(profile.group_key or "", {})[profile.id] = profile
    return by_key


def _lines(profile: Profile, width: int, *, whole: bool) -> Iterator[list[options.Part]]:
    """Yield a profile as lines: in a pipe one with all of it, on a terminal as much as fits, or a line a property."""
    owner = printable(owner_name(profile.id, profile.group_key)) + " (partly known)" * profile.partly_known
    if width < _NARROWEST:
        yield [f"{owner}\t{printable(options.as_json(profile))}"]
        return
    values = {printable(name): printable(options.as_json(value)) for name, value in profile.items()}
    if not whole:
        column = min(width // 3, _WIDEST_ID)
        properties = fitted("  ".join(map(" ".join, values.items())), width - column - _GAP).rstrip()
        yield [(fitted(middle_cut(owner, column), column), "bold"), " " * _GAP, properties]
        return
    yield [(owner, "bold")]
    column = min(max(map(cell_len, values), default=0), width // 3)
    for name, value in values.items():
        for place, part in enumerate(folded(value, width - column - 2 * _GAP)):
            yield [" " * _GAP, (fitted("" if place else name, column), MUTED), " " * _GAP, part]


def _messages(source: IO[bytes]) -> Iterator[Any]:
    for number, line in enumerate(chain.from_iterable(whole_lines(source)), 1):
        if not line.strip():
            continue
        try:
            yield parse_json(line)
        except ValueError as error:
            raise options.BadInput(f"line {number} {error}") from None
