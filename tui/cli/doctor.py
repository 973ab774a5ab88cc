"""`restante doctor`: check a journal and its surroundings."""

import sys
from pathlib import Path

import click

from recorder import diagnose
from recorder.maintenance.doctor import Finding, Severity
from tui.cli import options
from tui.text.format import count, printable

__all__ = ["doctor_command"]

_INDENT = 6  # cells of the mark
_MARKS = {
    Severity.OK: ("ok    ", "$text-success"),
    Severity.NOTICE: ("note  ", "$text-warning"),
    Severity.ATTENTION: ("!!    ", "$text-error"),
}


@click.command("doctor")
@options.journal
@click.option("--deep", is_flag=True, help="Also check the indexes against every row; may take minutes.")
@options.json_flag
@click.pass_context
def doctor_command(context: click.Context, path: Path, deep: bool, for_programs: bool) -> None:
    """Check the journal and its surroundings: disk, permissions, clock, locks, pages, accounts.

    The findings include everything that `status` says needs a person. Each says what to do. Nothing is created
    or changed; others can record and ship meanwhile. Exits 1 if something needs attention.

    \b
    Examples:
      restante doctor -j kiosk.db
      restante doctor --json | jq '.[] | select(.severity == "attention")'
    """
    tell = _progress if deep and sys.stderr.isatty() else None
    findings = diagnose(path, deep=deep, progress=tell)
    if for_programs:
        options.write_json(findings)
    else:
        for finding in findings:
            options.say(_MARKS[finding.severity], _told(finding))
        wrong = sum(finding.severity is Severity.ATTENTION for finding in findings)
        needs = "needs" if wrong == 1 else "need"
        told = f"{count(wrong, 'thing')} {needs} attention." if wrong else "Nothing needs attention."
        options.say((told, options.verdict(good=not wrong)))
    context.exit(int(any(finding.severity is Severity.ATTENTION for finding in findings)))


def _progress(what: str) -> None:
    options.narrate(f"Looking at {printable(what)} …")


def _told(finding: Finding) -> str:
    lines = [f"{finding.name}: {printable(finding.text)}", *filter(None, [printable(finding.advice)])]
    return f"\n{' ' * _INDENT}".join(options.hanging(line, _INDENT) for line in lines)
