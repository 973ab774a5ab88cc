"""Remnants of a profile in the bytes of a journal's files, and a journal full of them."""

import json

from recorder import Journal, Recorder, Shipper, ShippingPolicy
from recorder.model.entries import NewEntry
from recorder.shipping.verdicts import Answer
from tests.doubles import RESET, URL, Boot, Scripted

ID = "ada-åström@ex.org"
VALUE = "Große Straße 7"
HELD = ShippingPolicy(settle_after=0, in_doubt="hold", batch_updates=200)


def spelled(text):
    """Return the bytes of a text in a file: as it is, and with JSON's escapes."""
    return {text.encode(), json.dumps(text)[1:-1].encode()}


def places(path, *texts):
    """Return (file name, text) for each of these texts in the files of a journal."""
    files = [file for file in path.parent.glob(f"{path.name}*") if file.is_file()]
    wanted = {each: text for text in texts for each in spelled(text)}
    return {(file.name, text) for file in files for each, text in wanted.items() if each in file.read_bytes()}


def refused(*texts):
    """Return an answer that refuses, and quotes these texts."""
    said = json.dumps({"status": 0, "error": f"bad: {' '.join(texts)}"}, ensure_ascii=False)
    return Answer(left=True, url=URL, status=400, body=said.encode())


def ship(journal, *answers, minutes=0, limit=None, now=0.0, **policy):
    boot = Boot()
    boot.passes(minutes * 60)
    chosen = ShippingPolicy(**{"settle_after": 0, "in_doubt": "hold", **policy})
    shipper = Shipper(journal, Scripted(*answers), chosen, clock=lambda: now, uptime=boot, chance=lambda: 0.5)
    return shipper.ship(limit=limit)


def quoting(profile, value):
    """Return an answer that refuses, and quotes a profile and a value if they were sent."""

    def answer(_, body, __):
        sent = body.decode()
        return refused(
            *(text for text in (profile, value) if json.dumps(text, ensure_ascii=False)[1:-1] in sent)
        )

    return answer


def everywhere(path, profile=ID, value=VALUE, *, pruned=True):
    """Make a journal with a profile in each state, every lane, words, the baseline and waits, and others."""
    with Journal(path, token="T") as journal, Recorder("T", journal) as recorder:
        recorder.people_set(profile, {"pruned": value})
        recorder.people_set("bob", {"plan": "pro"})
        ship(journal)
        recorder.people_set("bob", {"plan": "free"})
        ship(journal, now=1.0)
        if pruned:
            journal.prune(all_shipped=True)
        recorder.people_set(profile, {"shipped": value})
        recorder.people_append("cyd", {"n": 1})
        ship(journal)
        recorder.people_append(profile, {"rejected": value})
        ship(journal, refused(profile, value))
        recorder.people_append(profile, {"given_up": value})
        ship(journal, refused(profile, value))
        journal.discard("state=rejected seq=7")
        recorder.people_append(profile, {"before": f"{value} as it was", "long": value * 2_000})
        journal.edit(8, {"$distinct_id": profile, "$append": {"after": value}})
        ship(journal, RESET)
        recorder.people_append(profile, {"waiting": value})
        recorder.people_append("cyd", {"n": 2})
        ship(journal)
        event = {"event": "seen", "properties": {"distinct_id": profile, "where": value}}
        tie = {"event": "$create_alias", "properties": {"distinct_id": "bob", "alias": profile}}
        other = {"event": "seen", "properties": {"distinct_id": "bob"}}
        journal.append(
            [
                NewEntry("events", None, profile, None, json.dumps(event), 1.0),
                NewEntry("events", None, "bob", None, json.dumps(tie), 1.0),
                NewEntry("events", None, "bob", None, json.dumps(other), 1.0),
                NewEntry("imports", None, None, None, json.dumps({**event, "n": 1}), 1.0),
                NewEntry(
                    "people", None, None, None, json.dumps({"$distinct_id": [profile], "$set": {"a": value}}), 1.0,
                    "rejected", f"$distinct_id: [{profile}] is a list",
                ),
            ]
        )  # fmt: skip
        recorder.people_set(profile, {"pending": value, "long": value * 5_000})
        recorder.people_set("bob", {"pending": True})
        recorder.group_set("company", "acme", {"seats": 12})
    return path
