"""Options and environment of commands that ship: the policy, and credentials of imports."""

import os
from typing import Any

import click

from recorder import ShippingPolicy
from recorder.model.policy import completed
from recorder.model.shipping import ShipperStatus
from tui.cli import options

__all__ = ["import_credentials", "policy_of", "policy_options"]

_CREDENTIALS = "RESTANTE_IMPORT_CREDENTIALS"

_OPTIONS = (
    click.option(
        "--in-doubt",
        type=click.Choice(["resend", "hold", "drop"]),
        help="What to do with entries that may be applied twice.  [default: as before, or resend]",
    ),
    click.option(
        "--settle-after",
        type=options.span,
        metavar="SPAN",
        help="How long entries in doubt wait: 30s, 5m.  [default: as before, or 30s]",
    ),
    click.option(
        "--batch-updates",
        type=int,
        metavar="N",
        help="Largest number of updates in a request.  [default: 2000]",
    ),
    click.option(
        "--fold/--no-fold",
        default=None,
        help="Send a profile's entries as fewer updates with the same result.  [default: no-fold]",
    ),
    click.option(
        "--counted/--no-counted",
        default=None,
        help="Count adds at the service, so that `restante settle` can tell what is in doubt; holds it until then."
        "  [default: as before, or no-counted]",
    ),
    click.option(
        "--updates-per-second", type=float, metavar="N", help="Largest number of updates sent per second."
    ),
)


def policy_options(command: options.Command) -> options.Command:
    """Add the options of a policy."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def policy_of(given: dict[str, Any], last: ShipperStatus) -> ShippingPolicy:
    """Return the policy given, completed from the last shipper's."""
    try:
        return completed(given, last)
    except ValueError as error:
        name, _, rest = str(error).partition(" ")
        raise options.BadInput(f"--{name.replace('_', '-')} {rest}.") from error


def import_credentials() -> tuple[str, str] | tuple[str, str, str] | None:
    """Return those that the environment has, and nothing else: everybody on the machine can read arguments."""
    given = os.environ.get(_CREDENTIALS, "")
    if not given:
        return None
    user, password, project = options.account(given)
    if not (user and ":" in given):
        raise options.BadInput(f"{_CREDENTIALS} must be user:password or user:password:project_id.")
    return (user, password, project) if project else (user, password)
