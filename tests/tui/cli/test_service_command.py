"""`restante simulator`, as a process of its own: what it prints, where, and how it ends."""

import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from simulator.service.faults import FAULTS
from tests.profiles import sampled
from tests.services import NEEDS_IPV6
from tui.cli import restante

TIMEOUT = 20
COMMAND = [sys.executable, "-c", "from tui.cli import main; main()", "simulator"]


@contextmanager
def running(*arguments):
    """The command and the URL it printed; its pipe gives the line once it answers."""
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process, process.stdout.readline().rstrip("\n")
        finally:
            process.kill()


@pytest.fixture
def schedule(tmp_path):
    def write(text):
        path = tmp_path / "faults.json"
        path.write_bytes(text if isinstance(text, bytes) else json.dumps(text).encode())
        return str(path)

    return write


def run(*arguments):
    return CliRunner().invoke(restante, ["simulator", *arguments])


def test_url_is_all_of_stdout():
    """Each request is a line on standard error."""
    with running("--port", "0") as (process, url):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
        update = {"$token": "T", "$distinct_id": "ada", "$set": {"plan": "pro"}}
        assert requests.post(url + "/engage", json=[update], timeout=TIMEOUT).text == "1"
        requests.post(url + "/engage?token=hidden", json=[{}], timeout=TIMEOUT)
        shown = requests.get(url + "/simulator/profiles", timeout=TIMEOUT).json()
        assert shown == {"ada": {"plan": "pro"}}
        process.terminate()
        rest, narration = process.communicate(timeout=TIMEOUT)
    assert rest == ""
    assert url in narration
    line = r"^\d\d:\d\d:\d\d POST /engage 200 · 0 accepted, 1 refused: \$token, missing or empty$"
    assert re.search(line, narration, re.MULTILINE)
    assert "hidden" not in narration


UNLESS_NOHUP = pytest.mark.skipif(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN, reason="under nohup")


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (signal.SIGINT, 130),
        pytest.param(signal.SIGTERM, 0, marks=pytest.mark.long),
        pytest.param(signal.SIGHUP, 0, marks=[UNLESS_NOHUP, pytest.mark.long]),
    ],
)
def test_signal_ends_it_quietly(sent, code):
    with running("--port", "0") as (process, url):
        with requests.Session() as session:  # a connection kept open does not hold it up
            session.get(url, timeout=TIMEOUT)
            process.send_signal(sent)
            _, narration = process.communicate(timeout=TIMEOUT)
        assert process.returncode == code
    assert re.fullmatch(rf"Send updates and events to {url}.*\n\d\d:\d\d:\d\d GET / 200\n", narration)


@pytest.mark.parametrize(("sent", "code"), sampled([(signal.SIGTERM, 0), (signal.SIGINT, 130)], 2))
def test_signal_ends_requests_under_way(schedule, sent, code):
    """One request waits for its fault, one for its body, and one for its head; --quiet names none."""
    path = schedule([{"at": 1, "fault": "slow", "seconds": 3_600}])
    with running("--port", "0", "--quiet", "--faults", path) as (process, url), ExitStack() as open_:
        for part in (
            b"POST /engage HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            b"POST /engage HTTP/1.1\r\nContent-Length: 9\r\n\r\n",
            b"POST",
        ):
            wire = open_.enter_context(socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1]))))
            wire.sendall(part)
        requests.get(url, timeout=TIMEOUT)
        process.send_signal(sent)
        _, narration = process.communicate(timeout=TIMEOUT)
    assert process.returncode == code
    assert narration == f"Send updates and events to {url}. Press Ctrl-C to stop.\n"


def test_reader_of_log_may_be_slow():
    """Nobody reads the pipe until it is full: requests are answered, and the lines left out are counted.

    Nor does it hold up the end.
    """
    with running("--port", "0") as (process, url), requests.Session() as session:
        session.trust_env = False
        capacity = fcntl.fcntl(process.stderr, fcntl.F_SETPIPE_SZ, 8_192)
        assert process.stderr.readline()
        path = "/" + "a" * 99
        for _ in range(capacity // 200 + 20):
            assert session.get(url + path, timeout=TIMEOUT).status_code == 404
        first = os.read(process.stderr.fileno(), capacity)
        assert session.get(url + "/", timeout=TIMEOUT).status_code == 200
        left_out, last = os.read(process.stderr.fileno(), capacity).decode().splitlines()
        written = first.decode().splitlines()
        assert all(line.endswith("GET / lists them") for line in written)
        assert re.fullmatch(r"\S+ (\d+) lines left out: standard error was full", left_out)
        assert len(written) + int(left_out.split()[1]) == capacity // 200 + 20
        assert last.endswith("GET / 200")
        for _ in range(capacity // 200 + 20):
            session.get(url + path, timeout=TIMEOUT)
        process.terminate()
        assert process.wait(TIMEOUT) == 0


@pytest.mark.parametrize("stderr", sampled(["/dev/full", "closed pipe", "closed"], 3))
def test_unwritable_log_harms_no_sender(stderr):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe, Path("/dev/full").open("w") as full:
        given = {"/dev/full": full, "closed pipe": pipe, "closed": None}[stderr]
        command = [*COMMAND, "--port", "0"]
        if given is None:
            command = ["sh", "-c", 'exec "$@" 2>&-', "sh", *command]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=given, text=True) as process:
            url = process.stdout.readline().rstrip("\n")
            codes = [requests.get(url, timeout=TIMEOUT).status_code for _ in range(2)]
            process.terminate()
            assert (codes, process.wait(TIMEOUT)) == ([200, 200], 0)


@pytest.mark.parametrize(
    ("mixed", "old_events", "digit"),
    sampled([("reject-all", "refuse", "0"), ("apply-valid", "drop", "1")], 2),
)
def test_options_decide_the_answers(schedule, mixed, old_events, digit):
    """Profiles are shown old, without a hidden property, and not once there were too many queries."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    options = ["--port", port, "--faults", schedule([{"at": 1, "fault": "status", "code": 503}])]
    options += ["--mixed", mixed, "--old-events", old_events, "--unknown-operators", "ship"]
    options += ["--hide", "pl*", "--merge", "visitor=ada", "--queries-an-hour", "2"]
    with running(*options, "--read-lag", "0", "--read-lag", "3600") as (_, url):
        assert url == f"http://127.0.0.1:{port}"

        def posted(path, message, *more):
            return requests.post(url + path, json=[message, *more], timeout=TIMEOUT)

        update = {"$token": "T", "$distinct_id": "visitor", "$set": {"plan": "pro", "n": 1}}
        answers = [posted("/engage", update) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [503, 200]
        queries = [requests.post(url + "/api/query/engage", timeout=TIMEOUT) for _ in range(3)]
        assert queries[0].json()["results"] == [{"$distinct_id": "ada", "$properties": {"n": 1}}]
        assert queries[1].json()["results"] == []
        assert queries[2].status_code == 429
        assert posted("/engage", update, {}).text == digit
        event = {"event": "opened", "properties": {"token": "T", "time": 1_700_000_000}}
        assert posted("/track", event).text == digit
        unknown = {"$token": "T", "$distinct_id": "ada", "$increment": {"n": 1}}
        assert posted("/engage", unknown).text == "1"


def test_port_in_use_is_reported():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("--port", str(port))
    assert result.exit_code == 1
    assert result.stdout == ""
    reason = f"cannot listen on port {port} (address already in use)"
    assert result.stderr == f"Error: {reason}; give another with --port, or 0 for any free one\n"


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("203.0.113.1", "cannot assign requested address"),
        ("a..b", "no such name"),
        ("", "name or service not known"),
    ],
)
def test_foreign_address_is_reported(host, reason):
    result = run("--port", "0", "--host", host)
    assert (result.exit_code, result.stdout) == (1, "")
    assert (
        result.stderr
        == f"Error: cannot listen on {host!r} ({reason}); give an address of this computer with --host\n"
    )


@NEEDS_IPV6
def test_host_can_be_chosen():
    with running("--port", "0", "--host", "::1") as (_, url):
        assert re.fullmatch(r"http://\[::1\]:\d+", url)
        assert requests.get(url + "/simulator/profiles", timeout=TIMEOUT).json() == {}


TRUSTING = {
    "REQUESTS_CA_BUNDLE": [
        sys.executable,
        "-c",
        "import requests, sys; print(requests.get(sys.argv[1]).text)",
    ],
    "SSL_CERT_FILE": [
        sys.executable,
        "-c",
        "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())",
    ],
    "NODE_EXTRA_CA_CERTS": ["node", "-e", "fetch(process.argv[1]).then(it => it.text()).then(console.log)"],
}


@pytest.mark.long  # six interpreters
def test_variables_of_page_make_programs_trust():
    """docs/local-service.md names them; without them, none of the programs trusts the certificate."""
    with running("--port", "0", "--tls") as (process, url):
        authority = process.stdout.readline().rstrip("\n")
        assert url.startswith("https://127.0.0.1:")
        for variable, command in TRUSTING.items():
            if shutil.which(command[0]) is None:
                continue
            for environment, trusts in (({variable: authority}, True), ({}, False)):
                kept = {name: value for name, value in os.environ.items() if name not in TRUSTING}
                done = subprocess.run(
                    [*command, url + "/simulator/profiles"],
                    env=kept | environment,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=TIMEOUT,
                    check=False,
                )
                assert (variable, done.stdout == b"{}\n") == (variable, trusts)
        process.terminate()
        assert process.wait(TIMEOUT) == 0
    assert not Path(authority).exists()


def test_journal_ships_to_https(restante, append, journal):
    append({"$distinct_id": "ada", "$set": {"plan": "pro"}})
    with running("--port", "0", "--tls") as (process, url):
        trusting = {"REQUESTS_CA_BUNDLE": process.stdout.readline().rstrip("\n"), "RESTANTE_URL": url}
        for command in ("ship", "compare"):
            ran = restante(command, "-j", journal, environment=trusting)
            assert ran.code == 0, ran.err
        for given, says in (
            ({}, "was not accepted: unable to get local issuer"),
            ({"REQUESTS_CA_BUNDLE": "nowhere"}, "'nowhere'"),
        ):
            ran = restante("compare", "-j", journal, environment={"RESTANTE_URL": url} | given)
            assert (ran.code > 0, says in ran.err) == (True, True), ran.err
        process.terminate()
        assert process.wait(TIMEOUT) == 0
    assert not Path(trusting["REQUESTS_CA_BUNDLE"]).exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ([{"at": 1, "fault": "explode"}], 'unknown fault "explode"; known are ack_lost'),
        ([{"fault": "reset"}], '"at" is missing'),
        (b"{", "must be a JSON list"),
        (b"\xff", "must be a JSON list"),
    ],
)
def test_bad_schedule_is_refused(schedule, text, says):
    result = run("--port", "0", "--faults", schedule(text))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert says in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["--faults", "nowhere.json"],
        ["--faults", "."],
        ["--port", "65536"],
        ["--port", "many"],
        ["--mixed", "x"],
        ["--read-lag", "-1"],
        ["--read-lag", "nan"],
        ["--read-lag", "inf"],
        ["--queries-an-hour", "-1"],
        ["--merge", "ada"],
        ["--merge", "=ada"],
        ["--merge", "a=b", "--merge", "b=c"],
    ],
)
def test_wrong_usage_is_exit_2(arguments):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")


def test_help_has_an_example():
    result = run("--help")
    assert result.exit_code == 0
    assert "restante simulator --port 8765 &" in result.stdout
    assert '"ack_lost"' in result.stdout


def test_curl_commands_of_help_work():
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    shown = run("--help").stdout.replace("\\\n", " ")
    commands = [shlex.split(line) for line in shown.splitlines() if line.strip().startswith("curl ")]
    with running("--port", "0") as (_, url):
        said = [
            subprocess.run(
                [argument.replace("http://127.0.0.1:8765", url) for argument in command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TIMEOUT,
                check=True,
            ).stdout
            for command in commands
        ]
    assert list(map(json.loads, said)) == [{"status": 1, "error": None}, {"ada": {"plan": "pro"}}]


def test_help_names_every_fault():
    shown = set(re.findall(r"\w+", run("--help").stdout))
    for name, kind in FAULTS.items():
        assert {name, *(field.name for field in fields(kind))} <= shown
