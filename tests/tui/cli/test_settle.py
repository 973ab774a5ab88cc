"""`restante settle`: recorded, shipped counted, left in doubt, read back, over sockets."""

import json

import pytest

import tui.cli.settle
from recorder import HttpTransport, JournalReader, Lane
from recorder.shipping import profiles
from simulator.service import Service

SECRET = {"RESTANTE_QUERY_CREDENTIALS": "ops:s3cr3t-s3cr3t"}
LINES = b"\n".join(
    json.dumps({"$distinct_id": id_, "$add": {"visits": 1}}).encode() for id_ in ("ada", "bob", "ada", "cleo")
)


@pytest.fixture
def doubtful(restante, journal):
    """Make a service, and a journal of which a counted request of four entries is in doubt there."""

    def make(service, updates):
        service.set_faults([{"at": 1, "fault": "part", "updates": updates}])
        restante("record", "-j", journal, "--token", "T", stdin=LINES)
        sent = restante("ship", "-j", journal, "--url", service.url, "--counted", "--settle-after", "0s")
        assert sent.code == 1
        return restante("ship", "-j", journal)

    return make


@pytest.fixture
def no_pauses(monkeypatch):
    monkeypatch.setattr(profiles, "PAUSES", [])


def test_settle_leaves_each_add_once(restante, journal, doubtful):
    """What a first part of the request did is read back, and the rest goes again."""
    with Service(credentials=("ops", "s3cr3t-s3cr3t")) as service:
        assert doubtful(service, 2).code == 1
        elsewhere = {
            "RESTANTE_URL": "http://127.0.0.1:1"
        }  # other profiles, which say that nothing was applied
        done = restante("settle", "-j", journal, "--project", "7", environment=SECRET | elsewhere)
        assert (done.code, done.err.strip()) == (
            0,
            "Settled 3 profiles: all was applied in 1, nothing in 1, a part in 1.",
        )
        assert restante("ship", "-j", journal).code == 0
        assert restante("compare", "-j", journal, "--url", service.url).code == 0
        held = service.profiles()
    assert {id_: held[id_]["visits"] for id_ in held} == {"ada": 2, "bob": 1, "cleo": 1}
    with JournalReader(journal) as reader:
        assert (reader.counts().shipped, reader.counts().possibly_twice) == (4, 0)
    listed = restante("entries", "error=read back", "-j", journal).out
    assert listed.count("(read back from the profile: applied)") == 2
    assert listed.count("(read back: not applied, sent again)") == 2
    assert b"s3cr3t-s3cr3t" not in b"".join(file.read_bytes() for file in journal.parent.glob("kiosk.db*"))


@pytest.mark.parametrize("verb", ["retry", "discard"])
def test_question_mentions_settle(restante, journal, doubtful, verb):
    """Before somebody guesses: only of what was counted, and not once it is done."""
    with Service() as service:
        doubtful(service, 0)
    says = "of them were counted: `restante settle` reads from the profiles which were applied.\n"
    assert f"4 {says}" in restante(verb, "state=in_doubt", "-j", journal).err
    done = restante(verb, "state=in_doubt", "-j", journal, "--yes", "--json")
    assert (done.json["counted"], done.err) == (4, "")
    assert "settle" not in restante(verb, "--all", "-j", journal).err


@pytest.mark.parametrize("counted", [True, False])
def test_status_and_doctor_suggest_settle(restante, journal, service, counted):
    service.set_faults([{"at": 1, "fault": "ack_lost"}])
    restante("record", "-j", journal, "--token", "T", stdin=LINES)
    way = ["--counted"] if counted else ["--in-doubt", "hold"]
    for _ in range(2):
        restante("ship", "-j", journal, "--url", service.url, *way, "--settle-after", "0s")
    for command in ("status", "doctor"):
        said = " ".join(restante(command, "-j", journal).out.split())
        assert ("`restante settle`" in said, "`restante retry state=in_doubt`" in said) == (counted, True)


def test_other_service_tells_nothing(restante, journal, doubtful):
    """Its profiles hold no such counter: entries that were applied would go again."""
    with Service() as service, Service() as other:
        doubtful(service, 4)
        for way in ([], ["--fence"]):
            done = restante("settle", "-j", journal, "--url", other.url, *way, environment=SECRET)
            assert (done.code, f"was shipped to {service.url}: profiles at {other.url}" in done.err) == (
                2,
                True,
            )
        assert other.messages() == []


def test_settle_as_json(restante, journal, doubtful):
    with Service(credentials=("ops", "s3:cr")) as service:
        doubtful(service, 4)
        base = ["--url", f"{service.url}/", "--query-url", f"{service.url}/"]
        with_project = {"RESTANTE_QUERY_CREDENTIALS": "ops:s3:cr:7"}
        done = restante("settle", "-j", journal, *base, "--json", environment=with_project)
    assert (done.code, done.json["profiles"], done.json["applied"], done.json["entries"]) == (0, 3, 3, 4)


def test_old_readings_are_repeated(restante, journal, doubtful, monkeypatch):
    monkeypatch.setattr(profiles, "PAUSES", [0.0])
    with Service(read_lag=3_600) as service:
        doubtful(service, 4)
        done = restante("settle", "-j", journal, "--project", "7", environment=SECRET)
    assert done.code == 1
    assert "reading again in 0 s" in done.err
    assert "Settled 0 profiles. 3 not read: too soon after the request" in " ".join(done.err.split())


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ({"hidden": ["restante_????????"]}, "3 could not be settled (this account may not see restante_"),
        (
            {"hidden": ["restante_*"]},
            "3 not read: too soon after the request, no fence accepted, or restante_… is hidden",
        ),
        (
            {"merged": {"bob": "ada"}},
            "nothing in 1, a part in 0. 2 could not be settled (it was merged with another profile)",
        ),
    ],
    ids=["hidden counter", "hidden fence", "merged"],
)
@pytest.mark.usefixtures("no_pauses")
def test_unseen_profile_stays_held(restante, journal, doubtful, service, words):
    with Service(**service) as running:
        doubtful(running, 1)
        done = restante("settle", "-j", journal, "--project", "7", environment=SECRET)
    assert (done.code, words in " ".join(done.err.split())) == (1, True), done.err
    with JournalReader(journal) as reader:
        assert len(reader.entries("state=in_doubt profile=ada")) == 2


def test_foreign_counter_stays_held(restante, journal, doubtful):
    with Service() as service:
        doubtful(service, 1)
        with JournalReader(journal) as reader:
            (counting,) = reader.counting()
        update = {"$token": "T", "$distinct_id": "ada", "$add": {counting.counter: 7}}
        HttpTransport(url=service.url).send(Lane.PEOPLE, json.dumps([update]).encode())
        done = restante("settle", "-j", journal, "--project", "7", environment=SECRET)
    words = f"a part in 0. 1 could not be settled (another program wrote {counting.counter}, or a request came late?)"
    assert (done.code, words in " ".join(done.err.split())) == (1, True), done.err


def test_profile_deleted_meanwhile_stays_held(restante, journal, doubtful):
    """Another program deletes it after requests that were counted."""
    with Service() as service:
        doubtful(service, 4)
        restante("settle", "-j", journal, "--project", "7", environment=SECRET)
        restante("record", "-j", journal, stdin=LINES)
        service.set_faults([{"at": 2, "fault": "part", "updates": 1}])
        deletion = b'{"$token": "T", "$distinct_id": "ada", "$delete": ""}'
        HttpTransport(url=service.url).send(Lane.PEOPLE, deletion)
        restante("ship", "-j", journal)
        restante("ship", "-j", journal)
        done = restante("settle", "-j", journal, "--project", "7", environment=SECRET)
    assert "1 could not be settled (another program wrote restante_" in done.err
    assert "or deleted the profile?)" in " ".join(done.err.split())


def test_limit_of_queries_is_waited_for(restante, journal, doubtful, monkeypatch):
    waits = []
    with Service(queries_an_hour=0) as service:
        doubtful(service, 4)
        monkeypatch.setattr(tui.cli.settle.time, "sleep", _interrupt(waits))
        done = restante("settle", "-j", journal, "--project", "7", environment=SECRET)
    assert (done.code, len(waits)) == (130, 1)
    assert waits[0] > 3_000
    assert "no more queries for now; reading again in" in done.err


def _interrupt(waits):
    def sleep(seconds):
        waits.append(seconds)
        raise KeyboardInterrupt

    return sleep


@pytest.mark.parametrize("given", [{}, {"RESTANTE_QUERY_CREDENTIALS": "ops"}])
def test_credentials_are_required(restante, journal, doubtful, given):
    with Service() as service:
        doubtful(service, 0)
    done = restante("settle", "-j", journal, environment=given)
    assert done.code == 2
    assert "RESTANTE_QUERY_CREDENTIALS" in done.err


def test_decisions_come_from_a_file(restante, journal, doubtful, tmp_path):
    with Service() as service:
        doubtful(service, 0)
    file = tmp_path / "decisions.jsonl"
    file.write_text('{"journal": "0", "profile": "ada", "epoch": 1, "digest": "0", "applied": 1}\n')
    done = restante("settle", "-j", journal, "--decisions", file)
    assert (done.code, done.err.strip()) == (
        1,
        "Settled 0 profiles. 1 could not be settled (about another journal).",
    )
    for wrong in (b'{"journal": 0}', b"\xff", b"[" * 100_000):
        file.write_bytes(wrong)
        refused = restante("settle", "-j", journal, "--decisions", file)
        assert (refused.code, "line 1: no decision with journal" in refused.err) == (2, True)
    assert restante("settle", "-j", journal, "--decisions", file, "--fence").code == 2


def test_explain_lists_what_is_assumed(restante, journal):
    assert "within `ship`'s --settle-after" in restante("settle", "-j", journal, "--explain").out


def test_counting_is_kept_in_the_journal(restante, journal, service):
    """Until --no-counted; to send again what is counted is refused."""
    restante("record", "-j", journal, "--token", "T", stdin=LINES)
    restante("ship", "-j", journal, "--url", service.url, "--counted")
    restante("record", "-j", journal, stdin=LINES)
    restante("ship", "-j", journal)
    (counter,) = {name for name in service.profiles()["ada"] if name.startswith("restante")}
    assert service.profiles()["ada"][counter] == 4
    assert restante("ship", "-j", journal, "--in-doubt", "resend").code == 2
    restante("record", "-j", journal, stdin=LINES)
    assert restante("ship", "-j", journal, "--in-doubt", "resend", "--no-counted").code == 0
    assert service.profiles()["ada"][counter] == 4
