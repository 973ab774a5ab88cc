"""A thousand journals of two hundred operations: the planted faults are named, runs in doubt decided, nothing else.

Ten are made by the recorder and the shipper, and written a hundred times each with other ids.
"""

import json
import random
import sqlite3
from collections import Counter
from contextlib import closing

import pytest

from fleet.export import profiles_of
from fleet.one_process import inspect
from recorder import Journal, Recorder, Shipper, ShippingPolicy
from tests.fleet.site import Service

POLICY = ShippingPolicy(in_doubt="hold", counted="objects", settle_after=0)
JOURNALS, OPERATIONS = 1_000, 200
NAME = "NNNNN"


def record(batch, chance):
    id_ = f"{NAME}-{chance.randrange(3)}"
    chance.choice(
        [
            lambda: batch.people_increment(id_, {"visits": 1}),
            lambda: batch.people_increment(id_, {"visits": 1, "spent": chance.randint(1, 9)}),
            lambda: batch.people_set(id_, {"plan": chance.choice(["free", "pro"])}),
            lambda: batch.people_set_once(id_, {"first": chance.randint(1, 9)}),
            lambda: batch.people_track_charge(id_, chance.randint(1, 9)),
            lambda: batch.people_append(id_, {"seen": {"page": chance.randint(1, 99)}}),
            lambda: batch.people_union(id_, {"kiosks": [chance.randint(1, 9)]}),
        ]
    )()


def template(path, chance):
    """Return a journal's bytes, its identity, and the profiles: two requests were accepted, and one is in doubt."""
    service = Service()
    with closing(Journal(path, token="T", durability="process")) as journal:
        recorder = Recorder("T", journal)
        shipper = Shipper(journal, service, POLICY, chance=lambda: 0.0)
        for answer in (None, None, chance.randint(0, 20)):
            with recorder.batch() as batch:
                for each in range(3 * (answer is None)):
                    batch.people_set(f"{NAME}-{each}", {"town": chance.choice(["Oslo", "Bergen"])})
                for _ in range(OPERATIONS // 10 if answer is not None else OPERATIONS * 9 // 20 - 3):
                    record(batch, chance)
            service.answers.extend([] if answer is None else [answer])
            shipper.ship()
        journal.write_fences(service.write)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("PRAGMA journal_mode = DELETE")
        ((identity,),) = database.execute("SELECT identity FROM project")
        held = [
            one
            for (one,) in database.execute(
                "SELECT DISTINCT profile FROM entries WHERE state = 'in_doubt' AND hazardous"
            )
        ]
    profiles = {id_: dict(profile) for id_, profile in service.inbox.profiles().items()}
    sent = json.loads(service.sent[-2][1])[:answer]
    applied = Counter(update["$distinct_id"] for update in sent if "$add" in update or "$append" in update)
    return path.read_bytes(), identity, profiles, held, applied


def counter_of(profile):
    (name,) = (name for name in profile if name.startswith("restante_") and not name.endswith("_fence"))
    return name


def make(folder, chance):
    """Write journals and export; return what is to be found, and decided."""
    (folder / "fleet").mkdir()
    templates = [template(folder / f"template-{number}.db", chance) for number in range(10)]
    planted = dict(zip(chance.sample(range(JOURNALS), 30), [-2, 3, "plan"] * 10, strict=True))
    due, decided = set(), 0
    with (folder / "export.jsonl").open("w", encoding="utf-8") as export:
        for number in range(JOURNALS):
            content, identity, profiles, held, _ = templates[number % 10]
            old, new = identity[:8], f"{number:08x}"
            file, name = folder / "fleet" / f"till{number:05}.db", f"{number:05}"
            file.write_bytes(
                content.replace(NAME.encode(), name.encode()).replace(old.encode(), new.encode())
            )
            decided += len(held)
            text = json.dumps(profiles).replace(NAME, name).replace(old, new)
            for id_, profile in json.loads(text).items():
                fault = planted.get(number) if id_ == f"{name}-1" else None
                if isinstance(fault, int):
                    doubtful = id_.replace(name, NAME) in held
                    known, most = range_of(file, id_)
                    profile[counter_of(profile)] = known + fault if fault < 0 else most + fault
                    due.add((id_, str(file), "lost" if fault < 0 else "doubled", abs(fault), None))
                    decided -= doubtful  # its count makes no sense any more
                elif fault is not None:
                    profile["town"] = "Rome"
                    due.add((id_, str(file), "differs", None, "town"))
                export.write(json.dumps({"$distinct_id": id_, "$properties": profile}) + "\n")
    return due, decided, [applied for *_, applied in templates]


def range_of(file, id_):
    """Return what the counter of a profile must be between, from the entries themselves."""
    with closing(sqlite3.connect(file)) as database:
        states = [
            state
            for (state,) in database.execute(
                "SELECT state FROM entries_with_state WHERE profile = ? AND operator = '$add'", (id_,)
            )
        ]
    known = states.count("shipped")
    return known, known + states.count("in_doubt")


def evident(decision):
    """Return how many of the entries that were decided to be applied show in a profile."""
    with closing(sqlite3.connect(decision.file)) as database:
        run = database.execute(
            "SELECT operator FROM entries WHERE profile = ? AND state = 'in_doubt' ORDER BY seq LIMIT ?",
            (decision.profile, decision.applied),
        ).fetchall()
    return sum(operator in {"$add", "$append"} for (operator,) in run)


@pytest.mark.long
def test_thousand_journals_are_told_apart(tmp_path):
    due, decided, applied = make(tmp_path, random.Random(11))
    files = sorted(map(str, (tmp_path / "fleet").glob("*.db")))
    report = inspect(files, profiles_of(str(tmp_path / "export.jsonl")))
    assert {(one.profile, one.journal, one.finding, one.by, one.name) for one in report.findings} == due
    assert len(report.findings) == len(due) == 30
    assert len(report.decisions) == decided
    for one in report.decisions:
        assert evident(one) == applied[int(one.file[-4])][f"{NAME}{one.profile[5:]}"], one
    assert (report.profiles, report.shown, report.unreadable) == (3_000, 3_000, [])
    assert sum(report.undecided.values()) <= 20
