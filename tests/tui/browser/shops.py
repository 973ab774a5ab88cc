"""Journals for the screens of profiles and shipping: recorded and shipped at given times, without a network."""

import itertools
import json

from recorder import Journal, Shipper, ShippingPolicy
from recorder.model.entries import NewEntry
from recorder.shipping.verdicts import Answer
from tests.doubles import ACCEPTED, REFUSED, RESET, UNREACHABLE, URL, Boot, Scripted
from tests.tui.browser.harness import NOW

ONE_BY_ONE = ShippingPolicy(batch_updates=1)
GONE = Answer(left=True, url=URL, status=400, body=b'{"status": 0, "error": "$group_id: no such group"}')
_NAMING = {"$distinct_id", "$group_key", "$group_id", "$time"}


def row(message, ago=0.0, **columns):
    """A row as recording would leave it, so many seconds ago."""
    group = message.get("$group_key")
    made = NewEntry(
        "people" if group is None else "groups",
        group,
        message["$distinct_id"] if group is None else message["$group_id"],
        next(name for name in message if name not in _NAMING),
        json.dumps(message, ensure_ascii=False, separators=(",", ":")),
        NOW - ago,
    )
    return made._replace(**columns)


def record(path, *messages, ago=600.0, **columns):
    """Each a second after the one before."""
    with Journal(path, token="T") as journal:
        journal.append([row(message, ago - place, **columns) for place, message in enumerate(messages)])


def ship(path, *answers, ago=300.0, limit=None, policy=ONE_BY_ONE):
    """One by one; the clock goes on a second at each look, from so many seconds ago."""
    clock = itertools.count(NOW - ago)
    with Journal(path) as journal:
        shipper = Shipper(
            journal,
            Scripted(*answers),
            policy,
            clock=lambda: next(clock),
            uptime=Boot(),
            chance=lambda: 0.5,
        )
        return shipper.ship(limit=limit)


def ada(path):
    """A profile that was shipped in part: charges, a counter, a list; one entry rejected, more on their way."""

    def of(**operation):
        return {"$distinct_id": "ada@ex.org", **{f"${name}": value for name, value in operation.items()}}

    record(
        path,
        of(set={"plan": "free", "city": "Zürich", "trial": True}),
        {"$distinct_id": "u-1042", "$add": {"credits": 5}},
        of(add={"visits": 1}),
        of(append={"$transactions": {"$time": "2026-01-02T03:04:05", "$amount": 12.5, "item": "coffee"}}),
        of(union={"tags": ["a"]}),
        {"$group_key": "company", "$group_id": "acme", "$set": {"seats": 12}},
        {"$distinct_id": "gone", "$set": {"plan": "free"}},
        {"$distinct_id": "gone", "$delete": ""},
        ago=9_000.0,
    )
    ship(path, ACCEPTED, ACCEPTED, REFUSED, ago=8_000.0)
    record(
        path,
        of(set={"plan": "pro"}),
        of(unset=["trial"]),
        of(union={"tags": ["b"]}),
        of(append={"$transactions": {"$time": "2026-01-03T09:00:00", "$amount": 29.0}}),
        of(add={"visits": 2}),
        of(set={"plan": "team"}),
        {"$distinct_id": "u-1042", "$set": {"plan": "pro"}},
        ago=240.0,
    )
    return path


def trouble(path):
    """Rejections of two kinds, one entry in doubt, the network gone."""
    for number in range(1, 9):
        record(path, {"$distinct_id": f"u-{number}", "$add": {"credits": number}}, ago=90_000.0 - number)
    record(path, {"$group_key": "company", "$group_id": "acme", "$set": {"seats": 12}}, ago=80_000.0)
    ship(path, REFUSED, ACCEPTED, ACCEPTED, GONE, REFUSED, RESET, ago=70_000.0)
    ship(path, UNREACHABLE, ago=600.0)
    ship(path, UNREACHABLE, ago=300.0)
    return path


HOSTILE = {
    "controls": "\x1b[31mred\x07\x00\x9b2J\r\n\ttab",
    "markup": "[bold red]not bold[/] [@click=app.quit]quit[/] [/nothing",
    "bidi": "abc \u202edcba\u2066 \u200f",
    "wide": "名前は全角です 👩\u200d👩\u200d👧 e\u0301",
    "[b]name[/b]\x1b]0;title\x07": "\ufeff\u200b\u2028",
}


def hostile(path):
    """Data that would like to be more than data: in ids, in names, in values, in what the service says."""
    for text in HOSTILE.values():
        record(path, {"$distinct_id": text, "$set": HOSTILE}, ago=100.0)
    record(path, {"$group_key": HOSTILE["markup"], "$group_id": HOSTILE["controls"], "$set": HOSTILE})
    said = json.dumps({"status": 0, "error": HOSTILE["markup"] + HOSTILE["controls"]}).encode()
    ship(path, Answer(left=True, url=URL, status=400, body=said), ago=50.0, limit=2)
    return path


def unknown(path):
    """An operator outside the vocabulary."""
    record(
        path,
        {"$distinct_id": "ada", "$set": {"plan": "free"}},
        {"$distinct_id": "ada", "$frobnicate": {"plan": ["[b]raw[/b]", 1]}},
        {"$distinct_id": "ada", "$add": {"visits": 1}},
    )
    return path


def huge(path):
    """A megabyte in a value, and a long list."""
    record(
        path,
        {"$distinct_id": "ada", "$set": {"note": "x" * 1_000_000, "plan": "pro"}},
        {"$distinct_id": "ada", "$union": {"tags": [f"tag-{number}" for number in range(400)]}},
    )
    return path


def prune(path):
    """Whatever was shipped, but for what the latest request carried."""
    with Journal(path) as journal:
        return journal.prune(all_shipped=True, now=NOW)


def pruned(path):
    """Most of it was pruned: a counter's beginning, a whole profile, one that was deleted, an operator unknown."""
    record(
        path,
        {"$distinct_id": "old", "$set": {"plan": "free"}},
        {"$distinct_id": "hot", "$set": {"plan": "free", "tags": ["a"]}},
        {"$distinct_id": "u-1042", "$add": {"credits": 5}},
        {
            "$distinct_id": "hot",
            "$append": {"$transactions": {"$time": "2026-01-02T03:04:05", "$amount": 12.5}},
        },
        {"$distinct_id": "gone", "$set": {"plan": "free"}},
        {"$distinct_id": "gone", "$delete": ""},
        {"$distinct_id": "odd", "$set": {"plan": "free"}},
        {"$distinct_id": "odd", "$frobnicate": {"plan": 1}},
        {"$group_key": "company", "$group_id": "acme", "$set": {"seats": 12}},
        *({"$distinct_id": "hot", "$add": {"n": 1}} for _ in range(30)),
        ago=9_000.0,
    )
    ship(path, ACCEPTED, ACCEPTED, ACCEPTED, REFUSED, ago=8_000.0)  # the second is the group's
    prune(path)
    record(
        path,
        {"$distinct_id": "hot", "$add": {"n": 5}},
        {"$distinct_id": "hot", "$union": {"tags": ["b"]}},
        {"$distinct_id": "new", "$set": {"plan": "pro"}},
        ago=240.0,
    )
    return path
