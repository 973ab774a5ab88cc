"""`restante compare`: compare the journal with what a local service received."""

import json
import ssl
import time
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, IncompleteRead
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import click

from recorder import Entry, HttpTransport, JournalReader, State
from recorder.model.counting import Counting
from simulator import Comparison, Divergence, DivergenceKind, Occurrence, compare
from simulator.connection import TRUSTED, connection_to
from tui.cli import options
from tui.cli.lost_events import LostEvent, lost_events
from tui.cli.progress import tracked
from tui.text.format import count, printable

__all__ = ["compare_command"]

_SILENCE = 60.0  # seconds without a byte: a service prepares its whole answer before it sends the first
_LONGEST = 600.0  # seconds for the whole answer
_MOST_BYTES = 512 * 2**20
_CHUNK = 2**16
_MESSAGES = "/simulator/messages"
_UPDATES = frozenset({"/engage", "/groups"})
_REAL = "mixpanel.com"
_NEVER_PREDICTED = frozenset({DivergenceKind.CHANGED, DivergenceKind.UNEXPECTED})
_MAY_HAVE_ARRIVED = frozenset({State.SHIPPED, State.SENDING, State.IN_DOUBT})
_IDENTITY = frozenset({"$token", "$distinct_id", "$group_key", "$group_id"})


@click.command("compare")
@options.journal
@click.option(
    "--url",
    envvar="RESTANTE_URL",
    required=True,
    help="The local service's base address, such as http://127.0.0.1:8765 (RESTANTE_URL).",
)
@click.option("--token", type=options.text, help="A token to use instead of the journal's own.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Largest number of profiles, and of lost events, in the report.",
)
@options.json_flag
@click.pass_context
def compare_command(
    context: click.Context, path: Path, url: str, token: str | None, limit: int, for_programs: bool
) -> None:
    """Compare shipped and unsent entries with what a local service received.

    Shows the first divergence of each profile, with the entry's number: lost, duplicated, reordered or changed.
    Unsent entries need not have arrived; those that have (in doubt, or being sent) are compared, too. For
    events, it shows the shipped ones that the service did not keep. Exits 1 if a profile differs, an event is
    lost, or the service cannot be reached.

    The service is `restante simulator`. It reports what it accepted with the journal's token, and with tokens
    that the journal had before `restante token`; --token names another. The real service cannot report that.

    "Changed" is what arrived instead of an entry; "unexpected" is what this journal has no entry for. Entries that were
    folded (`ship --fold`) are compared as the updates they were sent as.

    Operations that arrived before the oldest kept entry are left out: as many for each profile as were pruned.

    \b
    Examples:
      restante compare -j kiosk.db --url http://127.0.0.1:8765
      restante compare --url http://127.0.0.1:8765 --json | jq .divergences[].kind
    """
    base = _local(url)
    with JournalReader(path) as reader:
        tokens = [token] if token else _tokens(reader)
        history, comparison = reader.unpruned(lambda: _compared(reader, base, tokens))
        lost = lost_events(reader, lambda: _messages(base))
        report = _Report(reader, history, comparison, lost)
        if for_programs:
            options.write_json(report.for_programs())
        else:
            report.in_words(limit)
    context.exit(int(not comparison.agrees or bool(lost)))


def _tokens(reader: JournalReader) -> list[str]:
    token = reader.token()
    if token is None:
        raise options.BadInput("The journal belongs to no project yet; name one with --token.")
    return [*reader.earlier_tokens(), token]


def _compared(reader: JournalReader, base: str, tokens: list[str]) -> "tuple[_History, Comparison]":
    history = _History(reader, tokens[-1])
    # In this order: what goes through while it is compared is among what the journal tells in the end.
    return history, compare(
        tracked(history.shipped(), "comparing, shipped", reader.counts().kept),
        tracked(_uncounted(_received(base, tokens), reader.counting()), "comparing, received"),
        to_send=tracked(history.rest(), "comparing, to be sent"),
        # What was pruned arrived at least once, and at most as often as it was sent.
        pruned={(one.group_key, one.profile): range(one.entries, one.sends + 1) for one in reader.baseline()},
    )


# --- the journal's side -------------------------------------------------------------------------


class _History:
    """The journal's messages as `compare` reads them, and which entry each of them is."""

    def __init__(self, reader: JournalReader, token: str) -> None:
        self._reader = reader
        self._token = token
        self._attempts: dict[int, bool] = {}
        """True for those that carried fewer updates than entries."""
        self._numbers = array("q")

    @property
    def folded(self) -> bool:
        """True if a request carried fewer updates than entries: sent again, it may have been folded otherwise."""
        return any(self._attempts.values())

    def shipped(self) -> Iterator[Mapping[str, Any]]:
        for _, entries in groupby(self._reader.shipped_entries(), lambda entry: entry.attempt):
            yield from self._sent(list(entries))

    def rest(self) -> Iterator[Mapping[str, Any]]:
        folded: dict[int | None, list[Entry]] = {}
        for entry in self._reader.unshipped_entries(list(self._attempts)):
            if entry.state in _MAY_HAVE_ARRIVED and self._is_folded(entry):
                folded.setdefault(entry.attempt, []).append(entry)
            else:
                yield self._message(entry.seq, entry.message)
        for entries in folded.values():
            yield from self._sent(entries)

    def _sent(self, entries: list[Entry]) -> Iterator[Mapping[str, Any]]:
        """The updates that a request carried, for all of its entries."""
        if self._is_folded(entries[0]):
            messages = self._reader.folded(entries, self._token)
        else:
            messages = [(entry.seq, entry.message) for entry in entries]
        for number, message in messages:
            yield self._message(number, message)

    def _is_folded(self, entry: Entry) -> bool:
        if entry.attempt is None:
            return False
        if entry.attempt not in self._attempts:
            (attempt,) = self._reader.attempts(before=entry.attempt + 1, limit=1)
            self._attempts[entry.attempt] = attempt.entries > attempt.updates
        return self._attempts[entry.attempt]

    def _message(self, number: int, message: Mapping[str, Any]) -> Mapping[str, Any]:
        self._numbers.append(number)
        return message

    def seq(self, operation: Occurrence) -> int:
        """The number of the entry that a predicted operation is."""
        return self._numbers[operation.number - 1]


class _Report:
    """A comparison with the numbers and states of the journal's entries."""

    def __init__(
        self, reader: JournalReader, history: _History, comparison: Comparison, lost: Sequence[LostEvent]
    ) -> None:
        self._reader = reader
        self._lost = lost
        self._history = history
        self._comparison = comparison
        self._given_up = _given_up(reader, comparison.divergences)
        self._unless = ", as far as it is kept" * (reader.counts().pruned > 0)
        self._unless += ", unless a folded request was sent twice" * history.folded

    def in_words(self, limit: int) -> None:
        divergences = self._comparison.divergences
        options.say((self._comparison.summary, options.verdict(good=self._comparison.agrees)))
        for divergence in divergences[:limit]:
            options.say(f"\n{divergence.format(self._called)}")
            if (entry := self._given_up.get(_owner(divergence))) is not None:
                options.say(f"  given up   {_called(entry)}")
            elif divergence.kind is DivergenceKind.UNEXPECTED:
                options.say(f"  recorded   not in this journal{self._unless}")
        if self._lost:
            options.say("\n", (f"{count(len(self._lost), 'shipped event')} lost:", "$text-error"))
        for event in self._lost[:limit]:
            options.say(f"  #{event.seq}: {printable(event.reason)}")
        most = max(len(divergences), len(self._lost))
        if most > limit:
            options.narrate(f"{limit:,} of {most:,} shown; --limit shows more.")

    def _called(self, operation: Occurrence) -> str:
        seq = self._history.seq(operation)
        entry = self._reader.entry(seq)
        return _called(entry) if entry is not None else f"#{seq}"

    def for_programs(self) -> dict[str, Any]:
        fields = options.as_dict(self._comparison)
        del fields["divergences"]
        divergences = [self._divergence(one) for one in self._comparison.divergences]
        agrees = self._comparison.agrees and not self._lost
        lost = [event._asdict() for event in self._lost]
        return {"agrees": agrees, **fields, "divergences": divergences, "lost_events": lost}

    def _divergence(self, one: Divergence) -> dict[str, Any]:
        given_up = self._given_up.get(_owner(one))
        return options.as_dict(one) | {
            "predicted": self._predicted(one.predicted) if one.predicted is not None else None,
            "given_up": _standing(given_up, "seq", "state", "reason") if given_up is not None else None,
        }

    def _predicted(self, operation: Occurrence) -> dict[str, Any]:
        entry = self._reader.entry(self._history.seq(operation))
        known = _standing(entry, "seq", "state", "possibly_twice") if entry is not None else {}
        return {**known, "operator": operation.operator, "message": operation.message}


def _standing(entry: Entry, *names: str) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in names}


def _called(entry: Entry) -> str:
    reason = f": {printable(entry.reason)}" if entry.reason else ""
    marks = ", possibly twice" * entry.possibly_twice + ", out of order" * entry.out_of_order
    return f"#{entry.seq} ({entry.state.replace('_', ' ')}{reason}{marks})"


_Owner = tuple[str | None, str | None]


def _owner(divergence: Divergence) -> _Owner:
    return divergence.group_key, divergence.profile


def _given_up(reader: JournalReader, divergences: Iterable[Divergence]) -> dict[_Owner, Entry]:
    """Return the rejected or discarded entries among what arrived without being predicted."""
    unforeseen = {
        _owner(one): one.received.message
        for one in divergences
        if one.kind in _NEVER_PREDICTED and one.received is not None
    }
    found: dict[_Owner, Entry] = {}
    for state in (State.DISCARDED, State.REJECTED) if unforeseen else ():
        for entry in reader.stream([f"state={state}"]):
            owner = (entry.group_key, entry.profile)
            if owner in unforeseen and _alike(entry.message, unforeseen[owner]):
                found.setdefault(owner, entry)
    return found


def _alike(message: Mapping[str, Any], compared: Mapping[str, Any]) -> bool:
    """True if an entry says what arrived, as far as that was compared."""
    left_out = _IDENTITY if "$time" in compared else _IDENTITY | {"$time"}
    said = {name: value for name, value in message.items() if name not in left_out}
    return json.dumps(said, sort_keys=True) == json.dumps(compared, sort_keys=True)


# --- the service's side -------------------------------------------------------------------------


def _local(url: str) -> str:
    """The base address of a service that can be asked."""
    base = HttpTransport(url=url).base
    host = urlsplit(base).hostname or ""
    if host == _REAL or host.endswith(f".{_REAL}"):
        raise options.BadInput(
            f"{host} cannot report what it received. Only a local service can: start one with `restante simulator`."
        )
    return base


def _received(base: str, tokens: Sequence[str]) -> Iterator[Any]:
    """The updates that a service accepted with one of the tokens, in order of arrival; asked when the first is read."""
    asked = {"verdict": "accepted"} | ({"token": tokens[0]} if len(tokens) == 1 else {})
    for received in _messages(base, **asked):
        message = received.get("message")
        ours = not isinstance(message, dict) or message.get("$token") in {None, *tokens}
        if received["endpoint"] in _UPDATES and ours:
            yield message


def _uncounted(received: Iterable[Any], countings: Sequence[Counting]) -> Iterator[Any]:
    """The same without what counting and settling added."""
    for message in received:
        left = message
        for counting in countings:
            left = counting.unwritten(left) if isinstance(left, dict) else left
        if left is not None:
            yield left


def _messages(base: str, **asked: str) -> Iterator[dict[str, Any]]:
    """All that a service received, or what is asked for, with endpoint, verdict and reason."""
    answer = _asked(base, f"{_MESSAGES}?{urlencode(asked, errors='replace')}")
    if not isinstance(answer, list):
        raise _stranger(base, "its answer is not a list of messages")
    for received in answer:
        if not isinstance(received, dict) or not isinstance(received.get("endpoint"), str):
            raise _stranger(base, "its answer is not a list of messages")
        yield received


def _asked(base: str, target: str) -> Any:
    try:
        connection = connection_to(base, _SILENCE)
    except OSError as error:
        raise options.BadInput(str(error)) from error
    try:
        connection.request("GET", target)
        with connection.getresponse() as answer:
            if answer.status != HTTPStatus.OK:
                raise _stranger(base, f"it answers {answer.status} for {_MESSAGES}")
            return json.loads(_whole(answer, base))
    except ssl.SSLCertVerificationError as error:  # a ValueError, too
        raise click.ClickException(
            f"the certificate of {base} was not accepted: {error.verify_message}. Name the file of its authority in "
            f"{TRUSTED}."
        ) from error
    except (ValueError, RecursionError):
        raise _stranger(base, f"its answer for {_MESSAGES} is not JSON") from None
    except OSError as error:
        cause = (error.strerror or str(error) or type(error).__name__).lower()
        raise click.ClickException(
            f"{base} cannot be reached: {cause}. Is `restante simulator` running, and is --url its address?"
        ) from error
    except IncompleteRead:
        raise _cut_off(base) from None
    except HTTPException as error:
        raise _stranger(base, f"it does not speak HTTP ({type(error).__name__})") from error
    finally:
        connection.close()


def _whole(answer: HTTPResponse, base: str) -> bytes:
    """The answer's body, within bounds: who answers may be anybody."""
    deadline = time.monotonic() + _LONGEST
    parts, size = [], 0
    while part := answer.read1(_CHUNK):
        parts.append(part)
        size += len(part)
        if size > _MOST_BYTES:
            raise click.ClickException(
                f"{base} answered with over {_MOST_BYTES // 2**20:,} MiB; compare with fewer messages: "
                f"POST {base}/simulator/reset empties the service"
            )
        if time.monotonic() > deadline:
            raise click.ClickException(f"{base} did not send its whole answer in {_LONGEST:.0f} s")
    if answer.length:
        raise _cut_off(base)
    return b"".join(parts)


def _cut_off(base: str) -> click.ClickException:
    return click.ClickException(f"{base} was cut off in the middle of its answer. Run the command again.")


def _stranger(base: str, why: str) -> click.ClickException:
    return click.ClickException(
        f"{base} is not a local service of restante: {why}. Give --url the address that `restante simulator` printed."
    )
