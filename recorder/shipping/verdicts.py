"""Verdicts on answers, and on their absence. Pure, and total: every answer has a verdict.

The rules are those of the service's documentation where it has any: 1 or ``"status": 1`` accepts, 0 says that
nothing was applied. Everywhere else the question is whether the request may have been applied: what may have
been is unknown, never assumed.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

from recorder.model.entries import AttemptOutcome

__all__ = ["Answer", "Verdict", "backoff", "judge", "own_backoff"]

LONGEST_BACKOFF = 300.0
LONGEST_RETRY_AFTER = 86_400.0

_SHORTEST_BACKOFF = 1.0
_MOST_WORDS = 500
_TITLE = re.compile(r"<title>([^<]*)", re.IGNORECASE)
_OWN_KEYS = {"status", "error", "code", "num_records_imported", "failed_records"}
_MAY_BE_FOREIGN = {400, 413, 422}
_GIVE_CREDENTIALS = (
    "imports, and events that are too old for /track, need other credentials: a project's secret, or a service"
    " account's user, password and project (import_credentials, or RESTANTE_IMPORT_CREDENTIALS)"
)
# The service says none of these. 409 is said by what keeps requests apart that it has passed on before, 499 and 460
# by gateways whose client seemed gone: each may come after the request was applied.
_AFTER_PASSING_ON = {409, 460, 499}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to one request, or the reason why there is none.

    Attributes:
        left: True if the body began to leave: measured, not inferred from an exception's class.
        url: The address it was sent to.
        status: The HTTP status; None if no whole answer came.
        headers: Of the answer; names in lower case.
        body: Of the answer, up to 64 kB; where it names events, up to 4 MB.
        error: What went wrong on the way, in words; empty if an answer came.
    """

    left: bool
    url: str
    status: int | None = None
    headers: Mapping[str, str] | None = None
    body: bytes = b""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The meaning of an answer.

    Attributes:
        outcome: See `AttemptOutcome`.
        words: The service's words, or what went wrong on the way; empty if there is nothing to say.
        status: The HTTP status, if an answer came.
        retry_after: Seconds that the service asks us to wait, at least; None if it does not say.
        failed: What the service says of each update that it refuses, by its place in the request, if it names them.
            Shipped with failed ones: it took the others.
    """

    outcome: AttemptOutcome
    words: str
    status: int | None
    retry_after: float | None = None
    failed: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Reply:
    """The service's own reply, as far as a body is one: ``1``, ``0`` or an object with a status or an error.

    Attributes:
        accepted: 1 or 0, as the service means them; None if it says neither.
        own: The words are the service's, not those of a proxy or gateway on the way.
        words: What it says, or the text of a foreign answer.
        applied: Something of the request was applied, whatever the status.
        failed: See `Verdict`.
    """

    accepted: bool | None
    own: bool
    words: str
    applied: bool = False
    failed: Mapping[int, str] = field(default_factory=dict)


def judge(answer: Answer, *, updates: int | None = None) -> Verdict:
    """Return the verdict on an answer.

    Args:
        answer: The answer, or the reason why there is none.
        updates: How many updates the request carried; None if that is not known.

    >>> judge(Answer(left=True, url="https://api.mixpanel.com/engage", status=200, body=b'1')).outcome
    <AttemptOutcome.SHIPPED: 'shipped'>
    >>> judge(Answer(left=True, url="https://api.mixpanel.com/engage", error="connection reset")).outcome
    <AttemptOutcome.UNKNOWN: 'unknown'>
    """
    if not answer.left:
        return _verdict(answer, AttemptOutcome.OFFLINE, answer.error or "nothing was sent")
    if answer.status is None:
        return _verdict(answer, AttemptOutcome.UNKNOWN, answer.error or "no answer")
    return _judge_status(answer, answer.status, updates)


def _judge_status(answer: Answer, status: int, updates: int | None) -> Verdict:
    reply = _reply(answer, updates)
    match status:
        case 200:
            return _judge_ok(answer, reply)
        case 301 | 302 | 303 | 307 | 308:
            return _judge_redirect(answer, status)
        case 400 | 413 | 422 if reply.own:
            return _judge_refusal(answer, reply)
        case 413 if updates != 1:
            return _verdict(answer, AttemptOutcome.REFUSED, "HTTP 413: the request is too large")
        case 400 | 413 | 422:
            return _verdict(answer, AttemptOutcome.WAIT, _foreign(answer, reply))
        case 408 | 421 | 425 | 429:
            return _verdict(answer, AttemptOutcome.WAIT, _with_code(answer, reply))
        case 511:
            return _verdict(answer, AttemptOutcome.OFFLINE, "HTTP 511: the network requires a login")
        case 503 if reply.own or _header(answer, "retry-after"):
            return _verdict(answer, AttemptOutcome.WAIT, _with_code(answer, reply))
        case _ if 400 <= status < 500 and status not in _AFTER_PASSING_ON:  # noqa: PLR2004
            return _verdict(answer, AttemptOutcome.PAUSED, _with_code(answer, reply))
    return _verdict(
        answer, AttemptOutcome.UNKNOWN, f"HTTP {status}, an answer that says nothing about the request"
    )


def _with_code(answer: Answer, reply: _Reply) -> str:
    advice = _GIVE_CREDENTIALS if answer.status in {401, 403} and _is_import(answer) else ""
    return ": ".join(filter(None, (f"HTTP {answer.status}", advice, reply.words)))


def _foreign(answer: Answer, reply: _Reply) -> str:
    words = f": {reply.words}" if reply.words else ""
    return f"HTTP {answer.status}, but not in the service's words; perhaps a proxy or gateway refuses{words}"


def _judge_ok(answer: Answer, reply: _Reply) -> Verdict:
    if reply.accepted is True:
        return _verdict(answer, AttemptOutcome.SHIPPED, reply.words)
    if reply.accepted is False:
        return _judge_refusal(answer, reply)
    plain_http = urlsplit(answer.url).scheme == "http"
    if plain_http and _header(answer, "content-type").lower().startswith("text/html"):
        return _verdict(
            answer,
            AttemptOutcome.OFFLINE,
            "a web page instead of the service; perhaps the network requires a login",
        )
    return _verdict(
        answer, AttemptOutcome.UNKNOWN, "HTTP 200, an answer that is not the service's, or was cut"
    )


def _judge_refusal(answer: Answer, reply: _Reply) -> Verdict:
    words = reply.words or f"HTTP {answer.status}, without a reason"
    if reply.failed and reply.applied:  # what is said of these is no word about the others
        words = f"all but {len(reply.failed):,} were accepted"
        return replace(_verdict(answer, AttemptOutcome.SHIPPED, words), failed=reply.failed)
    if reply.failed:
        return replace(_verdict(answer, AttemptOutcome.REFUSED, _in_one(reply.failed)), failed=reply.failed)
    if reply.applied:
        return _verdict(answer, AttemptOutcome.UNKNOWN, f"{words}; a part of the request was imported")
    if re.search(r"\btoken\b", words, re.IGNORECASE):
        return _verdict(answer, AttemptOutcome.PAUSED, words)
    if answer.status == 200 and "temporary failure" in words.lower():  # noqa: PLR2004
        return _verdict(answer, AttemptOutcome.WAIT, words)
    return _verdict(answer, AttemptOutcome.REFUSED, words)


def _in_one(failed: Mapping[int, str]) -> str:
    """Return what is said of several updates: the same of each, or how many and the first."""
    first, *others = dict.fromkeys(failed.values())
    return f"{len(failed):,} updates were refused; the first: {first}" if others else first


def _judge_redirect(answer: Answer, status: int) -> Verdict:
    location = _header(answer, "location")
    if not location:
        return _verdict(answer, AttemptOutcome.UNKNOWN, f"HTTP {status} without a location")
    try:
        elsewhere = urlsplit(urljoin(answer.url, location)).hostname != urlsplit(answer.url).hostname
    except ValueError:
        return _verdict(answer, AttemptOutcome.UNKNOWN, f"HTTP {status} to a location that is no address")
    if elsewhere:
        return _verdict(
            answer,
            AttemptOutcome.OFFLINE,
            f"HTTP {status} to {location}; perhaps the network requires a login",
        )
    return _verdict(answer, AttemptOutcome.PAUSED, f"HTTP {status}: the service's address is {location}")


def _verdict(answer: Answer, outcome: AttemptOutcome, words: str) -> Verdict:
    # What stands between us and the service, such as a captive portal, may not ask for patience in its name.
    silent = outcome in {AttemptOutcome.SHIPPED, AttemptOutcome.OFFLINE} or answer.status in _MAY_BE_FOREIGN
    retry_after = None if silent else _retry_after(answer)
    return Verdict(outcome=outcome, words=_tidy(words), status=answer.status, retry_after=retry_after)


def _tidy(words: str) -> str:
    """Return one line of printable text: words from the network end up on terminals and in logs."""
    line = "".join(letter if letter.isprintable() else " " for letter in words)
    line = " ".join(line.split())
    return line if len(line) <= _MOST_WORDS else line[: _MOST_WORDS - 1] + "…"


def _header(answer: Answer, name: str) -> str:
    return (answer.headers or {}).get(name, "")


def _is_import(answer: Answer) -> bool:
    return urlsplit(answer.url).path.endswith("/import")


def _reply(answer: Answer, updates: int | None) -> _Reply:
    text = answer.body.decode("utf-8", "replace").strip()
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        title = _TITLE.search(text) if text.startswith("<") else None
        return _Reply(None, own=False, words=title[1] if title else "" if text.startswith("<") else text)
    flag = _flag(value)
    if not isinstance(value, dict):
        return _Reply(flag, own=flag is not None, words="" if flag is not None else text)
    if not _is_own(value, imports=_is_import(answer)):
        return _Reply(_flag(value.get("status")), own=False, words=text)
    error = value.get("error")
    words = error if isinstance(error, str) else "" if error is None else json.dumps(error)
    accepted = True if _imported(value) else _flag(value.get("status"))
    # Where the count is left out, it may be 0, or any number that the others make.
    applied = bool(value.get("num_records_imported", value.get("failed_records")))
    failed = _failed(value, updates) if _is_import(answer) and answer.status == 400 else {}  # noqa: PLR2004
    return _Reply(accepted, own=True, words=words, applied=applied and len(failed) != updates, failed=failed)


def _failed(value: dict[str, Any], updates: int | None) -> dict[int, str]:
    """Return what /import says of each update that it refuses; nothing unless all of it fits the request.

    It says so with ``strict=1``, and has ingested the updates that it does not name.
    """
    failed: dict[int, str] = {}
    records = value.get("failed_records")
    for record in records if isinstance(records, list) else []:
        match record:
            case {"index": index, "field": str(name), "message": str(message)} if type(index) is int:
                failed[index] = _tidy(f"{name}: {message}" if name else message)
    imported = value.get("num_records_imported", 0)
    fits = (
        bool(failed)
        and len(failed) == len(records or ())
        and updates is not None
        and all(0 <= index < updates for index in failed)
        and type(imported) is int
        and imported + len(failed) == updates
    )
    return failed if fits else {}


def _is_own(value: dict[str, Any], *, imports: bool) -> bool:
    """Return True for an object as the service makes it: no key that it does not use, no HTTP status as `status`.

    Gateways, too, say ``{"status": 400, "error": "Bad Request", "path": "/engage"}``.
    """
    named = "status" in value or "error" in value
    status_fits = type(value.get("status")) is not int or _flag(value["status"]) is not None
    return named and value.keys() <= _OWN_KEYS and status_fits and ("code" in value or not imports)


def _imported(value: dict[str, Any]) -> bool:
    """Return True for the acceptance of /import, which is the same whether verbose or not."""
    return value.get("code") == 200 and value.get("status") == "OK"  # noqa: PLR2004


def _flag(value: Any) -> bool | None:
    """Return 1 and 0 as the service means them; it does not say true and false."""
    if type(value) is int and value in (0, 1):
        return value == 1
    return None


def _retry_after(answer: Answer) -> float | None:
    """Return the Retry-After header in seconds: a number, or a date read against the answer's own."""
    text = _header(answer, "retry-after").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_RETRY_AFTER)
    until, now = _moment(text), _moment(_header(answer, "date"))
    if until is None or now is None:
        return None
    return min(max((until - now).total_seconds(), 0.0), LONGEST_RETRY_AFTER)


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def backoff(outcome: AttemptOutcome, failures: int, chance: float) -> float:
    """Return the seconds a lane waits before its next try; what the service asks for comes on top.

    Exponential from 1 s to 5 min, with full jitter after the cap. If a person must mend something: 5 min.

    Args:
        outcome: Of the last try.
        failures: Tries in a row that did not go through; at least 1.
        chance: A random number from 0 to 1.

    >>> offline, wait = AttemptOutcome.OFFLINE, AttemptOutcome.WAIT
    >>> backoff(offline, 1, 1.0), backoff(wait, 4, 0.5), backoff(offline, 1000, 1.0)
    (1.0, 4.0, 300.0)
    """
    if outcome in {AttemptOutcome.PAUSED, AttemptOutcome.REFUSED}:
        return LONGEST_BACKOFF
    cap: float = min(_SHORTEST_BACKOFF * 2.0 ** min(failures - 1, 30), LONGEST_BACKOFF)
    return cap * chance


def own_backoff(tries: int, chance: float) -> float:
    """Return the seconds that a profile waits which is never answered; at least a second, so that others go first."""
    return max(_SHORTEST_BACKOFF, backoff(AttemptOutcome.UNKNOWN, tries, chance))
