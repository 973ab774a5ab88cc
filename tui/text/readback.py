"""Settling by reading profiles back, in words. Pure."""

from collections.abc import Mapping

from recorder.model.reports import Fenced, Readback
from tui.text.format import age, count, printable

__all__ = ["format_fenced", "format_readback", "format_wait"]


def format_readback(done: Readback) -> str:
    """Return sentences about profiles that were settled.

    >>> format_readback(Readback(applied=29, not_applied=11, partly=1, cannot_tell={"other": 2}))
    'Settled 41 profiles: all was applied in 29, nothing in 11, a part in 1. 2 could not be settled (other).'
    """
    text = f"Settled {count(done.settled, 'profile')}"
    if done.settled:
        text += f": all was applied in {done.applied:,}, nothing in {done.not_applied:,}, a part in {done.partly:,}"
    text += f".{_not_told(done.cannot_tell)}"
    if done.waiting:
        text += (
            f" {done.waiting:,} not read: too soon after the request, no fence accepted,"
            " or restante_… is hidden from this account."
        )
    return text


def _not_told(reasons: Mapping[str, int]) -> str:
    return "".join(
        f" {profiles:,} could not be settled ({printable(reason)})." for reason, profiles in reasons.items()
    )


def format_wait(profiles: int, seconds: float) -> str:
    """Return a sentence about a wait before profiles are read again: see `recorder.shipping.profiles.settle`.

    >>> format_wait(1, 10)
    '1 profile may be shown as before the request; reading again in 10 s.'
    >>> format_wait(0, 3600)
    'The service answers no more queries for now; reading again in 1 h.'
    """
    cause = "The service answers no more queries for now"
    if profiles:
        cause = f"{count(profiles, 'profile')} may be shown as before the request"
    return f"{cause}; reading again in {age(seconds)}."


def format_fenced(done: Fenced) -> str:
    """Return sentences about fences that were written.

    >>> format_fenced(Fenced(written=41, cannot_tell={"other": 2}, waiting=1))
    'Wrote fences to 41 profiles. 2 could not be settled (other). 1 may still be applied: write fences again later.'
    """
    text = f"Wrote fences to {count(done.written, 'profile')}."
    if done.not_accepted:
        text += f" {done.not_accepted:,} not accepted by the service."
    text += _not_told(done.cannot_tell)
    return text + (
        f" {done.waiting:,} may still be applied: write fences again later." if done.waiting else ""
    )
