"""`restante audit`: recount every account, and list disagreements."""

from pathlib import Path

import click

from recorder import audit
from tui.cli import options
from tui.text.format import count

__all__ = ["audit_command"]


@click.command("audit")
@options.journal
@options.json_flag
@click.pass_context
def audit_command(context: click.Context, path: Path, for_programs: bool) -> None:
    """Recount every account from the entries and attempts, and list disagreements.

    Only reads, while others can record and ship. Takes a few seconds for a million entries. Exits 1 if anything
    disagrees.

    \b
    Example:
      restante audit -j kiosk.db
    """
    audited = audit(path)
    if for_programs:
        options.write_json(audited)
    else:
        entries, attempts = count(audited.entries, "entry", "entries"), count(audited.attempts, "attempt")
        for disagreement in audited.disagreements:
            options.say(str(disagreement))
        verdict = (
            "every account agrees" if audited.agrees else count(len(audited.disagreements), "disagreement")
        )
        options.say(
            f"Counted {entries} and {attempts}: ", (verdict, options.verdict(good=audited.agrees)), "."
        )
    context.exit(int(not audited.agrees))
