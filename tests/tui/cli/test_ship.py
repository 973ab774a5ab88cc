"""`restante ship`: what leaves, what stays, and what the exit code says."""

import base64
import dataclasses
import sqlite3
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from recorder import HttpTransport, Journal, JournalReader, Shipper, ShippingPolicy, ShipReport, State
from recorder.journal.locks import ShipLock
from recorder.model.entries import NewEntry
from simulator.service import Service

UPDATES = [{"$distinct_id": f"u{number}", "$set": {"n": number}} for number in range(5)]
MALFORMED = {"$distinct_id": "ada", "$add": {"visits": "two"}}


def counts(journal):
    with JournalReader(journal) as reader:
        return reader.counts()


def one_sentence(ran):
    """Return an error as shown: the sentence and what to do, without the layers beneath."""
    return 1 <= len(ran.err.splitlines()) <= 2 and "Traceback" not in ran.err


# --- going through


def test_pending_entries_are_shipped(restante, journal, append, service):
    append(*UPDATES)
    ran = restante("ship", "-j", journal, "--url", service.url)
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == f"Shipped 5 entries in 1 request to {service.url}. Nothing is left.\n"
    assert service.profiles("T") == {f"u{number}": {"n": number} for number in range(5)}
    assert counts(journal).shipped == 5


def test_nothing_to_ship_asks_nobody(restante, journal, append, service, closed_port):
    append(*UPDATES)
    assert restante("ship", "-j", journal, "--url", service.url).code == 0
    ran = restante("ship", "-j", journal, "--url", closed_port)
    assert (ran.code, ran.err) == (0, "Shipped 0 entries in 0 requests. Nothing is left.\n")


def test_service_comes_from_the_environment(restante, journal, append, service):
    append(*UPDATES)
    here = {"RESTANTE_URL": service.url, "RESTANTE_JOURNAL": str(journal)}
    assert restante("ship", environment=here).code == 0
    assert len(service.messages("accepted")) == 5


def test_groups_are_shipped_too(restante, journal, append, service):
    append({"$group_key": "company", "$group_id": "acme", "$set": {"plan": "pro"}}, *UPDATES)
    assert restante("ship", "-j", journal, "--url", service.url).code == 0
    assert service.groups("T") == {"company": {"acme": {"plan": "pro"}}}


def test_limit_ships_the_oldest(restante, journal, append, service):
    append(*UPDATES)
    ran = restante("ship", "-j", journal, "--url", service.url, "--limit", 2)
    assert ran.code == 1
    assert "Shipped 2 entries" in ran.err
    assert "limit" in ran.err
    assert "3 entries unsent" in ran.err
    assert list(service.profiles("T")) == ["u0", "u1"]
    ran = restante("ship", "-j", journal, "--url", service.url, "--limit", 3)
    assert (ran.code, ran.err) == (0, f"Shipped 3 entries in 1 request to {service.url}. Nothing is left.\n")


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
def test_limit_that_is_none_exits_2(restante, journal, append, limit):
    append(*UPDATES)
    assert restante("ship", "-j", journal, "--limit", limit).code == 2


def test_json_is_the_report(restante, journal, append, service):
    append(*UPDATES)
    ran = restante("ship", "-j", journal, "--url", service.url, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert list(ran.json) == [field.name for field in dataclasses.fields(ShipReport)]
    assert ran.json | {"retry_at": None} == ran.json
    assert (ran.json["shipped"], ran.json["requests"], ran.json["stopped_by"]) == (5, 1, "done")


def test_terminal_shows_progress(restante, journal, append, service):
    append(*UPDATES)
    ran = restante.on_terminal("ship", "-j", journal, "--url", service.url)
    assert ran.code == 0
    assert "shipping" in ran.out
    assert ran.out.endswith(f"Shipped 5 entries in 1 request to {service.url}. Nothing is left.\n")


# --- not going through


def test_closed_port_keeps_entries(restante, journal, append, closed_port, service):
    append(*UPDATES)
    ran = restante("ship", "-j", journal, "--url", closed_port)
    assert (ran.code, ran.out) == (1, "")
    assert "Offline: connection refused" in ran.err
    assert "5 entries unsent" in ran.err
    assert counts(journal).pending == counts(journal).recorded == 5
    later = restante(
        "ship", "-j", journal, "--url", service.url, "--yes"
    )  # a back-off is no reason to refuse a person
    assert later.code == 0
    assert len(service.messages("accepted")) == 5


def test_json_of_outage_has_retry_at(restante, journal, append, closed_port):
    append(*UPDATES)
    ran = restante("ship", "-j", journal, "--url", closed_port, "--json")
    assert ran.code == 1
    assert (ran.json["stopped_by"], ran.json["pending"], ran.json["shipped"]) == ("offline", 5, 0)
    assert ran.json["message"] == "connection refused"
    assert abs(ran.json["retry_at"] - time.time()) < 60


def test_lost_answer_leaves_doubt(restante, journal, append, service):
    append(*UPDATES)
    service.set_faults([{"at": 1, "fault": "ack_lost"}])
    ran = restante("ship", "-j", journal, "--url", service.url)
    assert ran.code == 1
    assert "5 of them in doubt" in ran.err
    assert counts(journal).in_doubt == 5


def test_retry_after_is_shown(restante, journal, append, service):
    append(*UPDATES)
    service.set_faults([{"at": 1, "fault": "status", "code": 429, "retry_after": 30}])
    ran = restante("ship", "-j", journal, "--url", service.url, "--json")
    assert ran.code == 1
    assert ran.json["stopped_by"] == "waiting"
    assert ran.json["message"] == "HTTP 429: Too Many Requests"
    assert 25 < ran.json["retry_at"] - time.time() < 60


def test_rejected_entry_harms_no_other(restante, journal, append, service, entries):
    append(UPDATES[0], MALFORMED, *UPDATES[1:])
    ran = restante("ship", "-j", journal, "--url", service.url)
    reason = service.messages("rejected")[-1].reason
    assert (ran.code, ran.out) == (1, "")
    assert "1 rejected: `restante entries state=rejected`." in ran.err
    assert ran.err.endswith("Nothing is left.\n")
    states = [entry.state for entry in entries(journal)]
    assert states == [State.SHIPPED, State.REJECTED, *[State.SHIPPED] * 4]
    assert reason in restante("entries", "-j", journal, "state=rejected").out
    assert restante("ship", "-j", journal, "--url", service.url).code == 0  # nothing is left to tell


def test_json_counts_what_was_rejected(restante, journal, append, service):
    append(MALFORMED)
    ran = restante("ship", "-j", journal, "--url", service.url, "--json")
    assert (ran.code, ran.json["rejected"], ran.json["stopped_by"]) == (1, 1, "done")


# --- in doubt


@pytest.fixture
def lost(journal, append, service):
    """Return a function that ships once, with the answer lost, under the options given."""
    append({"$distinct_id": "ada", "$add": {"visits": 1}})
    service.set_faults([{"at": 1, "fault": "ack_lost"}])
    return ["ship", "-j", journal, "--url", service.url]


def test_doubtful_entries_show_their_time(restante, lost):
    ran = restante(*lost, "--settle-after", "5m")
    assert ran.code == 1
    assert "Due in 4 m." in ran.err
    assert "1 entry unsent, 1 of them in doubt" in ran.err
    ran = restante(*lost)
    assert ran.code == 1
    assert "what is in doubt may still arrive; its profiles wait. Due in 4 m." in ran.err


def test_settled_entries_are_resent(restante, journal, lost, service):
    assert restante(*lost, "--settle-after", "0s").code == 1
    ran = restante(*lost)
    assert (ran.code, ran.err) == (0, f"Shipped 1 entry in 1 request to {service.url}. Nothing is left.\n")
    assert counts(journal).possibly_twice == 1


def test_last_policy_is_kept(restante, journal, lost, append, service):
    with Journal(journal) as opened:
        Shipper(
            opened, HttpTransport(url=service.url), ShippingPolicy(in_doubt="hold", settle_after=0)
        ).ship()
    append({"$distinct_id": "ada", "$add": {"visits": 1}})
    ran = restante(*lost)
    assert ran.code == 1
    assert "Held for a person to decide: 1 profile, and 1 entry behind" in ran.err
    assert (counts(journal).in_doubt, counts(journal).possibly_twice) == (1, 0)


def test_drop_sends_nothing_twice(restante, journal, lost):
    assert restante(*lost, "--settle-after", "0s", "--in-doubt", "drop").code == 1
    ran = restante(*lost)
    assert ran.code == 0
    assert (counts(journal).discarded, counts(journal).possibly_twice) == (1, 0)


# --- sizes and pace


def test_batch_updates_bounds_requests(restante, journal, append, service):
    append(*UPDATES)
    ran = restante("ship", "-j", journal, "--url", service.url, "--batch-updates", 2, "--json")
    assert (ran.code, ran.json["requests"]) == (0, 3)


def test_updates_per_second_bounds_the_rate(restante, journal, append, service):
    append(*UPDATES)
    begun = time.monotonic()
    ran = restante("ship", "-j", journal, "--url", service.url, "--updates-per-second", 4)
    assert ran.code == 0
    assert time.monotonic() - begun > 1


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--batch-updates", "0"),
        ("--batch-updates", "2001"),
        ("--updates-per-second", "0"),
        ("--updates-per-second", "nan"),
        ("--settle-after", "2d"),
        ("--settle-after", "soon"),
        ("--in-doubt", "maybe"),
    ],
)
def test_bad_policy_names_the_option(restante, journal, append, option, value):
    append(*UPDATES)
    ran = restante("ship", "-j", journal, option, value)
    assert (ran.code, ran.out) == (2, "")
    assert option in ran.err
    assert "Traceback" not in ran.err
    assert counts(journal).pending == 5


# --- credentials for imports


@pytest.fixture
def importing(journal):
    """A service that keeps the Authorization header and the query of what it is sent."""
    row = NewEntry("imports", None, "ada", None, '{"event":"opened","properties":{"token":"T"}}', 1.0)
    with Journal(journal, token="T") as opened:
        opened.append([row])
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):  # http.server's name
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, self.headers["Authorization"]))
            body = b'{"code": 200, "status": "OK"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", seen
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("given", "user", "query"),
    [
        ("secret:", "secret:", ""),
        ("robot:word:42", "robot:word", "&project_id=42"),
        ("robot:a:word", "robot:a:word", ""),
        ("robot:a:word:", "robot:a:word:", ""),
        ("robot:a:word:42", "robot:a:word", "&project_id=42"),
    ],
)
def test_import_credentials_come_from_environment(*, restante, journal, importing, given, user, query):
    url, seen = importing
    ran = restante("ship", "-j", journal, "--url", url, environment={"RESTANTE_IMPORT_CREDENTIALS": given})
    assert ran.code == 0
    ((path, authorization),) = seen
    assert authorization == "Basic " + base64.b64encode(user.encode()).decode()
    assert path.endswith(f"ip=0{query}")


@pytest.mark.parametrize("given", ["hunter2", ":hunter2", ":hunter2:42"])
def test_bad_credentials_are_not_shown(restante, journal, append, given):
    append(*UPDATES)
    ran = restante("ship", "-j", journal, environment={"RESTANTE_IMPORT_CREDENTIALS": given})
    assert (ran.code, ran.out) == (2, "")
    assert "user:password:project_id" in ran.err
    assert "hunter2" not in ran.err


# --- where it ships to


@pytest.fixture
def shipped(restante, journal, append, service):
    """Journal that was shipped to a service, with more entries."""
    append(*UPDATES)
    assert restante("ship", "-j", journal, "--url", service.url).code == 0
    append(*UPDATES)
    return service.url


def destination(journal):
    with JournalReader(journal) as reader:
        return reader.shipping().service


def test_last_destination_is_used(restante, journal, shipped, service):
    assert restante("ship", "-j", journal).code == 0
    assert len(service.messages("accepted")) == 2 * len(UPDATES)
    told = restante("status", "-j", journal)
    assert f"ships to: {shipped}" in told.out.splitlines()
    assert restante("status", "--json", "-j", journal).json["shipping"]["destination"] == shipped


@pytest.mark.parametrize(
    "options", [["--url", "http://localhost:1"], ["--api-host", "eu"], ["--watch", "--api-host", "in"]]
)
def test_other_destination_needs_yes(restante, journal, shipped, options):
    ran = restante("ship", "-j", journal, *options)
    assert (ran.code, ran.out) == (2, "")
    assert f"So far the journal was shipped to {shipped}; 5 unsent entries" in ran.err
    assert "give --yes" in ran.err
    assert (counts(journal).pending, destination(journal)) == (5, shipped)


@pytest.mark.parametrize(("typed", "code", "pending"), [("y\n", 0, 0), ("n\n", 1, 5)])
def test_person_agrees_to_another_destination(*, restante, journal, shipped, typed, code, pending):
    with Service() as other:
        ran = restante.on_terminal("ship", "-j", journal, "--url", other.url, typed=typed)
        assert (ran.code, counts(journal).pending) == (code, pending)
        assert destination(journal) == (shipped if pending else other.url)
        assert "Ship there? [y/N]" in ran.out


def test_equal_address_is_not_asked_about(restante, journal, shipped):
    assert restante("ship", "-j", journal, "--url", shipped.replace("http", "HTTP") + "/").code == 0


@pytest.mark.usefixtures("shipped")
def test_nothing_to_send_asks_nothing(restante, journal):
    assert restante("ship", "-j", journal).code == 0
    assert restante("ship", "-j", journal, "--url", "http://localhost:1").code == 0


def test_retry_after_ends_at_another_destination(restante, journal, append, service):
    append(*UPDATES)
    service.set_faults([{"at": 1, "fault": "status", "code": 503, "retry_after": 86_400}])
    ran = restante("ship", "-j", journal, "--url", service.url)
    assert "Due in 23 h 59 m. `restante ship --now` tries at once." in ran.err
    assert "`restante ship --now` tries again" in restante("status", "-j", journal).out
    assert restante("ship", "-j", journal).code == 1
    with Service() as other:
        assert restante("ship", "-j", journal, "--url", other.url, "--yes").code == 0
        assert len(other.messages("accepted")) == 5


def test_now_skips_a_retry_after(restante, journal, append, service):
    append(*UPDATES)
    service.set_faults([{"at": 1, "fault": "status", "code": 503, "retry_after": 86_400}])
    assert restante("ship", "-j", journal, "--url", service.url).code == 1
    assert restante("ship", "-j", journal, "--now").code == 0
    assert restante("ship", "-j", journal, "--now", "--watch").code == 2


# --- one at a time


def test_another_shipper_exits_1(restante, journal, append, service):
    append(*UPDATES)
    with ShipLock(journal):
        ran = restante("ship", "-j", journal, "--url", service.url)
    assert ran.code == 1
    assert "Busy: another process is shipping this journal" in ran.err
    assert counts(journal).pending == 5
    assert service.messages() == []
    assert restante("ship", "-j", journal, "--url", service.url).code == 0


# --- wrong usage


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8765",
        "ftp://127.0.0.1",
        "http://",
        "http://127.0.0.1:99999",
        "http://127.0.0.1/engage",
        "http://[::1",
        "",
    ],
)
def test_bad_address_is_refused(restante, journal, append, url):
    append(*UPDATES)
    ran = restante("ship", "-j", journal, "--url", url)
    assert (ran.code, ran.out) == (2, "")
    assert one_sentence(ran)
    assert repr(url) in ran.err


@pytest.mark.parametrize("host", ["api mixpanel.com", "api.mixpanel.com/engage", ""])
def test_bad_host_is_refused(restante, journal, append, host):
    append(*UPDATES)
    ran = restante("ship", "-j", journal, "--api-host", host)
    assert (ran.code, ran.out) == (2, "")
    assert one_sentence(ran)


def test_missing_journal_is_refused(restante, journal, tmp_path, closed_port):
    ran = restante("ship", "-j", journal, "--url", closed_port)
    assert (ran.code, ran.out) == (2, "")
    assert one_sentence(ran)
    assert f"no journal at {journal}" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_folder_is_no_journal(restante, tmp_path):
    ran = restante("ship", "-j", tmp_path)
    assert ran.code == 2
    assert "Traceback" not in ran.err


def text(path):
    path.write_text("milk, bread, tickets\n" * 300)


def few_bytes(path):
    path.write_bytes(b"milk")


def other_database(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE groceries (name TEXT)")
    connection.close()


@pytest.mark.parametrize("command", [["ship"], ["ship", "--watch"], ["status"]])  # others: test_unreadable.py
@pytest.mark.parametrize("make", [text, few_bytes, other_database])
def test_foreign_file_is_refused(restante, tmp_path, command, make):
    path = tmp_path / "foreign"
    make(path)
    before = path.read_bytes(), path.stat().st_mtime_ns
    ran = restante(*command, "-j", path)
    assert (ran.code, ran.out) == (2, "")
    assert one_sentence(ran)
    assert str(path) in ran.err
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("command", [["ship"], ["ship", "--watch"], ["status"]])  # others: test_unreadable.py
def test_newer_journal_is_refused(restante, journal, append, command):
    append(*UPDATES)
    connection = sqlite3.connect(journal)
    connection.execute("PRAGMA user_version = 99")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    before = journal.read_bytes()
    ran = restante(*command, "-j", journal)
    assert (ran.code, ran.out) == (2, "")
    assert one_sentence(ran)
    assert "newer restante" in ran.err
    assert journal.read_bytes() == before
