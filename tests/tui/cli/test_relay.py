"""`restante relay`, as a process of its own: what it prints, what it demands, and how it ends."""

import re
import signal

import pytest
import requests

from recorder import JournalReader, Recorder
from simulator.service import Service
from tests.profiles import sampled
from tests.services import closed_port

TIMEOUT = 20
UPDATE = {"$token": "T", "$distinct_id": "ada", "$set": {"plan": "pro"}}


@pytest.fixture
def nowhere():
    return f"http://127.0.0.1:{closed_port()}"


@pytest.mark.parametrize("sent", sampled([signal.SIGINT, signal.SIGTERM], 2))
def test_signal_ends_it_in_order(restante, journal, nowhere, sent):
    process = restante.start(
        "relay", "-j", journal, "--token", "T", "--port", "0", "--url", nowhere, "--verbose"
    )
    url = process.stdout.readline().decode().rstrip()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
    with requests.Session() as session:  # a connection kept open does not hold it up
        assert session.post(f"{url}/engage", json=[UPDATE], timeout=TIMEOUT).text == "1"
        process.send_signal(sent)
        ran = restante.finish(process)
    assert (ran.code, ran.out) == (0, "")
    assert f"Listening for SDKs at {url}" in ran.err
    assert "POST /engage 200 · 1 accepted" in ran.err
    with JournalReader(journal) as reader:
        assert reader.counts().pending == 1


def test_projects_ship_to_one_service(restante, tmp_path):
    files = {token: tmp_path / f"{token}.db" for token in "TU"}
    projects = [part for token, file in files.items() for part in ("--project", f"{token}={file}")]
    """What is recorded is sent before it ends."""
    with Service() as service:
        process = restante.start("relay", *projects, "--port", "0", "--url", service.url)
        url = process.stdout.readline().decode().rstrip()
        for token in files:
            requests.post(f"{url}/engage", json=[UPDATE | {"$token": token}], timeout=TIMEOUT)
        process.terminate()
        ran = restante.finish(process)
        assert (ran.code, service.profiles("T"), service.profiles("U")) == (
            0,
            *[{"ada": {"plan": "pro"}}] * 2,
        )
    assert f"{files['T']}: All shipped.\n{files['U']}: All shipped.\n" in ran.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "No project: give --token, or --project TOKEN=FILE."),
        (["--project", "T"], "is not TOKEN=FILE"),
        (["--project", "T=a.db", "--project", "T=b.db"], "given twice"),
        (["--project", "T=a.db", "--project", "U=a.db"], "given twice"),
        (
            ["--token", "T", "--listen", "::"],
            ":: can be reached by others: name the networks that may send, with --allow",
        ),
        (["--token", "T", "--listen", "::", "--allow", "here"], "'here' does not appear to be"),
        (["--token", "T", "--origin", "kiosk.local"], "is not an origin such as"),
        (["--token", "your token"], "is not a project's token"),
        (["--token", "T", "--batch-updates", "0"], "--batch-updates"),
    ],
)
def test_wrong_usage_is_explained(restante, arguments, words):
    ran = restante("relay", "--port", "0", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err


def test_port_in_use_is_explained(restante, journal):
    with Service() as service:
        port = service.url.rpartition(":")[2]
        ran = restante("relay", "-j", journal, "--token", "T", "--port", port)
    assert ran.code == 1
    assert f"cannot listen on port {port}" in ran.err


def test_other_place_needs_agreement(restante, journal, nowhere):
    with Service() as service, Recorder("T", journal, url=service.url) as recorder:
        recorder.people_set("ada", {"plan": "pro"})
        recorder.flush()
    ran = restante("relay", "-j", journal, "--port", "0", "--url", nowhere)
    assert ran.code == 2
    assert "give --yes" in ran.err


def test_removed_journal_ends_it(restante, journal, nowhere):
    process = restante.start("relay", "-j", journal, "--token", "T", "--port", "0", "--url", nowhere)
    url = process.stdout.readline().decode().rstrip()
    for file in journal.parent.glob(f"{journal.name}*"):
        file.unlink()
    assert requests.post(f"{url}/engage", json=[UPDATE], timeout=TIMEOUT).status_code == 503
    ran = restante.finish(process)
    assert ran.code == 1
    assert "removed" in ran.err
