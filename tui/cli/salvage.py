"""`restante salvage`: make a new journal from a damaged one."""

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
@click.option("--dry-run", is_flag=True, help="Only show what would be carried over.")
@options.json_flag
@click.pass_context
def salvage_command(context: click.Context, path: Path, dry_run: bool, for_programs: bool) -> None:
    """Make a new journal from what can be read of a damaged one, or of a snapshot.

    Readable entries keep their number, state and marks. Unsent ones become in doubt, since the damage may hide
    that they were sent. Unreadable ones count as lost. Pruned entries stay pruned, and what they made of their
    profiles is carried over. The damaged file is kept next to the new one. No process may have the journal
    open. If the command is killed, run it again.

    Exits 1 if entries, limits, or what pruned entries made of profiles are lost; 0 if not, or if nothing is
    damaged.

    \b
    Examples:
      restante salvage -j kiosk.db --dry-run
      restante salvage -j kiosk.db
    """
    with progress_bar("reading pages") as show:
        salvaged = salvage(path, dry_run=dry_run, progress=show)
    if for_programs:
        options.write_json(salvaged)
    elif salvaged is None:
        options.narrate("Nothing is damaged. Nothing was changed.")
    else:
        _tell(salvaged)
    context.exit(int(salvaged is not None and _something_is_lost(salvaged)))


def _something_is_lost(salvaged: Salvaged) -> bool:
    whole = salvaged.profiles_lost == 0 and not salvaged.limits_lost
    return bool(salvaged.lost or salvaged.disagreements) or not whole


def _tell_of_the_baseline(lost: int | None) -> None:
    if lost is None:
        options.narrate(
            "Part of what pruned entries made of their profiles cannot be read, and for how many profiles is not "
            "known. All profiles that may be affected are partly known from now on."
        )
    elif lost:
        options.narrate(
            f"What pruned entries made of {count(lost, 'profile')} cannot be read: "
            "these profiles are partly known from now on."
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
        options.narrate(f"Of these, {salvaged.pruned:,} had been pruned before: they are only counted.")
    if salvaged.lost:
        options.narrate(
            f"Lost: {salvaged.lost:,} that cannot be read (`restante entries state=lost`). Anything "
            f"recorded after entry {salvaged.recorded:,} is lost, too, but cannot be counted."
        )
    if salvaged.perhaps_pruned:
        options.narrate(
            f"Of the lost entries, {salvaged.perhaps_pruned:,} may have been pruned before: "
            "the counters cannot be read."
        )
    _tell_of_the_baseline(salvaged.profiles_lost)
    if salvaged.limits_lost:
        options.narrate(
            f"The limits that were set cannot be read ({', '.join(salvaged.limits_lost)}): the "
            "defaults apply until you set them again."
        )
    if not salvaged.token_known:
        options.narrate(
            "The project's token cannot be read: the journal takes the next one that it is given."
        )
    for disagreement in salvaged.disagreements:
        options.narrate(f"Does not add up: {printable(str(disagreement))}.")
    if salvaged.kept:
        options.narrate(
            f"The old file is kept as {printable(salvaged.kept)}; delete it when it is no longer needed."
        )
