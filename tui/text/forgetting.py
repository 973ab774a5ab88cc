"""Sentences before and after a profile is forgotten, for the command line and the browser. Pure."""

from collections.abc import Iterator

from recorder.model.reports import Forgotten
from tui.text.format import count, owner_name, printable

__all__ = ["forget_question", "hazards", "told"]


def hazards(weighed: Forgotten, *, delete_remote: bool = False) -> Iterator[str]:
    """Yield the consequences of forgetting a profile.

    >>> list(hazards(Forgotten(entries=3, unsent=1)))[0]
    '3 entries name it; they are erased for ever: 1 is not sent yet, and never will be.'
    """
    yield _what(weighed)
    if weighed.folded:
        yield f"What {count(weighed.folded, 'pruned entry', 'pruned entries')} made of it is erased, too."
    if delete_remote:
        yield "A $delete is sent to the service; it names the profile until it has been sent."
    else:
        yield "What the service received stays there, unless `restante forget --delete-remote` deletes it."
    if weighed.deletion is not None:
        yield f"Its $delete, #{weighed.deletion:,}, is still to be sent, and names it until then."


def forget_question(profile: str, group_key: str | None, weighed: Forgotten) -> str:
    """Return the browser's question before a profile is forgotten.

    >>> print(forget_question("ada", None, Forgotten(entries=1)))
    Forget ada for ever?
    1 entry names it; it is erased for ever.
    What the service received stays there, unless `restante forget --delete-remote` deletes it.
    To agree, type its id.
    """
    shown = printable(owner_name(profile, group_key))
    return "\n".join([f"Forget {shown} for ever?", *hazards(weighed), "To agree, type its id."])


def _what(weighed: Forgotten) -> str:
    if not weighed.entries:
        return "No entry names it; the file is cleared of remnants anyway."
    who = (
        "1 entry names it; it is"
        if weighed.entries == 1
        else f"{weighed.entries:,} entries name it; they are"
    )
    parts = []
    if weighed.unsent:
        parts.append(
            f"{weighed.unsent:,} {'is' if weighed.unsent == 1 else 'are'} not sent yet, and never will be"
        )
    if weighed.in_doubt:
        parts.append(f"{weighed.in_doubt:,} in doubt, and whether they were applied will stay unknown")
    return f"{who} erased for ever{': ' if parts else ''}{'; '.join(parts)}."


def told(done: Forgotten) -> Iterator[str]:
    """Yield what was done, and what is left to do.

    >>> list(told(Forgotten(entries=1)))
    ['Forgot 1 entry. No byte of it is left in the journal.']
    """
    if done.anything:
        parts = [count(done.entries, "entry", "entries")] if done.entries else []
        if done.folded:
            parts.append(f"what {count(done.folded, 'pruned entry', 'pruned entries')} made of it")
        forgot = f"Forgot {', and '.join(parts)}."
    else:
        forgot = "Nothing in the journal named it."
    if done.deletion is not None:
        yield f"{forgot} Its $delete is entry #{done.deletion:,}, which names it until it has been sent."
    else:
        yield f"{forgot} No byte of it is left in the journal."
    for file in done.copies:
        left = f"A damaged file that a salvage kept may still name it: {printable(file)}."
        yield f"{left} Delete it when it is no longer needed."
