"""Settling by reading profiles back, in words. Pure."""

from recorder.model.reports import Fenced, Readback
from tui.text.format import age, count, printable

__all__ = ["format_fenced", "format_readback", "format_wait"]


def format_readback(done: Readback) -> str:
    """Return a sentence about runs that were settled.

    >>> format_readback(Readback(applied=29, not_applied=11, partly=1, cannot_tell={"other": 2}))
    'settled 41 profiles: 29 applied, 11 not, 1 partly; 2 cannot tell (other)'
    """
    text = f"settled {count(done.settled, 'profile')}"
    if done.settled:
        text += f": {done.applied:,} applied, {done.not_applied:,} not, {done.partly:,} partly"
    for reason, profiles in done.cannot_tell.items():
        text += f"; {profiles:,} cannot tell ({printable(reason)})"
    if done.waiting:
        text += (
            f"; {done.waiting:,} not read: too soon after the request, no fence accepted,"
            " or restante_… is hidden from this account"
        )
    return text


def format_wait(profiles: int, seconds: float) -> str:
    """Return a sentence about a wait before profiles are read again: see `recorder.shipping.profiles.settle`.

    >>> format_wait(1, 10)
    '1 profile may be shown as before the request; reading again in 10 s.'
    >>> format_wait(0, 3600)
    'The service answers no more queries now; reading again in 1 h.'
    """
    cause = "The service answers no more queries now"
    if profiles:
        cause = f"{count(profiles, 'profile')} may be shown as before the request"
    return f"{cause}; reading again in {age(seconds)}."


def format_fenced(done: Fenced) -> str:
    """Return a sentence about fences that were written.

    >>> format_fenced(Fenced(written=41, cannot_tell={"other": 2}, waiting=1))
    'wrote fences to 41 profiles; 2 cannot tell (other); 1 may still be applied: write fences again later'
    """
    text = f"wrote fences to {count(done.written, 'profile')}"
    if done.not_accepted:
        text += f"; {done.not_accepted:,} not accepted by the service"
    for reason, profiles in done.cannot_tell.items():
        text += f"; {profiles:,} cannot tell ({printable(reason)})"
    return text + (
        f"; {done.waiting:,} may still be applied: write fences again later" if done.waiting else ""
    )
