"""`restante salvage`: a new journal of what a damaged one still holds."""

from pathlib import Path

import click

from recorder import State, salvage
from recorder.maintenance.salvage.salvage import Salvaged
from tui.cli import options
from tui.cli.progress import progress_bar
from tui.text.format import count, printable

__all__ = ["salvage_command"]


@click.command("salvage")
@options.journal
@click.option("--dry-run", is_flag=True, help="Only say what would be carried over.")
@options.json_flag
@click.pass_context
def salvage_command(context: click.Context, path: Path, dry_run: bool, for_programs: bool) -> None:
    """Make a new journal of what a damaged one, or a snapshot, still holds.

    Every entry that can be read keeps its number, state and marks. What was to be sent is in doubt
    afterwards, for the damage may hide that it was; what cannot be read counts as lost. What was pruned stays
    pruned, and what it made of its profiles is carried over. The damaged file is kept beside the new one. Nobody
    may have the journal open. Killed at any moment, it is run again.

    Exits 1 when entries, profiles' beginnings or limits are lost; 0 when none are, or nothing is damaged.

    \b
    Examples:
      restante salvage -j kiosk.db --dry-run
      restante salvage -j kiosk.db
    """
    with progress_bar("reading pages") as show:
        salvaged = salvage(path, dry_run=dry_run, progress=show)
    if for_programs:
        click.echo(options.as_json(salvaged))
    elif salvaged is None:
        options.narrate("Nothing is damaged. Nothing was done.")
    else:
        _tell(salvaged)
    context.exit(int(salvaged is not None and _something_is_lost(salvaged)))


def _something_is_lost(salvaged: Salvaged) -> bool:
    whole = salvaged.profiles_lost == 0 and not salvaged.limits_lost
    return bool(salvaged.lost or salvaged.disagreements) or not whole


def _tell_of_the_baseline(lost: int | None) -> None:
    if lost is None:
        options.narrate(
            "What pruned entries made of their profiles cannot be read whole: of how many profiles is not known. "
            "Those it may be are partly known from now on."
        )
    elif lost:
        options.narrate(
            f"What pruned entries made of {count(lost, 'profile')} cannot be read: partly known from now on."
        )


def _tell(salvaged: Salvaged) -> None:
    done = "Carried over" if salvaged.kept else "Would carry over"
    states = ", ".join(
        f"{state.value.replace('_', ' ')} {salvaged.states[state]:,}"
        for state in State
        if state is not State.LOST and salvaged.states.get(state)
    )
    carried = salvaged.recorded - salvaged.lost
    options.narrate(f"{done} {count(carried, 'entry', 'entries')}{f' ({states})' if states else ''}.")
    if salvaged.pruned:
        options.narrate(
            f"Of all that was recorded, {salvaged.pruned:,} are counted only: they were pruned before."
        )
    if salvaged.lost:
        options.narrate(
            f"Lost: {salvaged.lost:,} that cannot be read (`restante entries state=lost`). What was recorded after "
            f"entry {salvaged.recorded:,} would be lost, too, and is not counted."
        )
    if salvaged.perhaps_pruned:
        options.narrate(
            f"Of the lost ones, {salvaged.perhaps_pruned:,} may have been pruned before: the counters cannot be read."
        )
    _tell_of_the_baseline(salvaged.profiles_lost)
    if salvaged.limits_lost:
        options.narrate(
            f"The limits that were set cannot be read ({', '.join(salvaged.limits_lost)}): the usual ones hold until "
            "they are given again."
        )
    if not salvaged.token_known:
        options.narrate("The project's token cannot be read: the next one that is given is taken.")
    for disagreement in salvaged.disagreements:
        options.narrate(f"Does not add up: {printable(str(disagreement))}.")
    if salvaged.kept:
        options.narrate(
            f"The damaged file is kept as {printable(salvaged.kept)}; delete it when nobody needs it."
        )
