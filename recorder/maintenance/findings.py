"""Findings of the doctor: what was looked at, how much it matters, and what to do."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Severity", "attention", "notice", "ok"]


class Severity(StrEnum):
    """Weight of a finding."""

    OK = "ok"
    """It is as it should be."""
    NOTICE = "notice"
    """Good to know."""
    ATTENTION = "attention"
    """Something is wrong, or will be."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What was looked at, such as ``file system``; one name may come several times.
        severity: How much it matters.
        text: What was found.
        advice: What to do; empty where there is nothing to do.
    """

    name: str
    severity: Severity
    text: str
    advice: str = ""


def ok(name: str, text: str) -> Finding:
    """Make a finding that all is well."""
    return Finding(name, Severity.OK, text)


def notice(name: str, text: str, advice: str) -> Finding:
    """Make a finding that is good to know."""
    return Finding(name, Severity.NOTICE, text, advice)


def attention(name: str, text: str, advice: str) -> Finding:
    """Make a finding of something wrong."""
    return Finding(name, Severity.ATTENTION, text, advice)
