"""`restante probe`, against the local service: what it prints, asks first, refuses, and leaves behind."""

import signal

import pytest

from simulator.conformance.probing import QUESTIONS
from simulator.service.server import Service

SECRET = "hush-0815"
ACCOUNT = {"RESTANTE_QUERY_CREDENTIALS": f"reader:{SECRET}", "RESTANTE_TOKEN": "T"}


@pytest.fixture
def service():
    with Service() as running:
        yield running


@pytest.fixture
def probe(restante, service):
    """Run it against the service."""

    def run(*options, environment=ACCOUNT, **more):
        return restante(
            "probe", "--project", 7, "--url", service.url, *options, environment=environment, **more
        )

    return run


def test_probe_prints_a_table(probe, service):
    ran = probe("--yes", environment=ACCOUNT | {"COLUMNS": "200"})
    assert (ran.code, ran.err) == (0, "")
    head, *rows = ran.out.splitlines()
    assert head.split() == ["QUESTION", "ANSWER", "SEEN"]
    shown = " ".join(ran.out.split())
    for said in ("at once", "as written", "as if it were taken", "200, status 1"):
        assert said in shown
    assert max(map(len, rows)) <= 120
    assert SECRET not in ran.out
    assert service.profiles() == {}


def test_table_fits_any_terminal(probe):
    for columns, widest in (("1", 40), ("80", 80)):
        ran = probe("--yes", environment=ACCOUNT | {"COLUMNS": columns})
        assert max(map(len, ran.out.splitlines())) <= widest


def test_json_has_every_question(probe):
    shown = probe("--yes", "--json").json
    assert (shown["project"], shown["deleted"]) == (7, True)
    assert shown["profile"].startswith("restante-probe-")
    assert [one["name"] for one in shown["findings"]] == list(QUESTIONS)
    assert all(one.keys() == {"name", "question", "answer", "seen"} for one in shown["findings"])


def test_probe_asks_before_it_writes(probe, restante, service):
    ran = probe()
    assert (ran.code, ran.out) == (2, "")
    assert "Project 7" in ran.err
    assert "is deleted at the end" in ran.err
    assert "--yes" in ran.err
    ran = restante.on_terminal(
        "probe", "--project", 7, "--url", service.url, typed="n\n", environment=ACCOUNT
    )
    assert ran.code == 1
    assert "Nothing was changed." in ran.out
    assert service.messages() == []


@pytest.mark.parametrize("given", [None, "", "reader", "reader:", f":{SECRET}", f"reader:{SECRET}\n"])
def test_unfit_credentials_are_refused(probe, service, given):
    kept = {name: value for name, value in ACCOUNT.items() if name != "RESTANTE_QUERY_CREDENTIALS"}
    ran = probe("--yes", environment=kept if given is None else kept | {"RESTANTE_QUERY_CREDENTIALS": given})
    assert (ran.code, ran.out) == (2, "")
    assert "RESTANTE_QUERY_CREDENTIALS" in ran.err
    assert SECRET not in ran.err
    assert service.messages() == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--token", ""], "RESTANTE_TOKEN"),
        (["--project", "shop"], "--project"),
        (["--url", f"http://me:{SECRET}@127.0.0.1"], "has a user or a password"),
        (["--query-url", "nowhere"], "is not an address"),
    ],
)
def test_wrong_usage_is_exit_2(probe, service, options, says):
    ran = probe("--yes", *options)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert SECRET not in ran.err
    assert service.messages() == []


def test_service_that_refuses_is_told(restante, closed_port):
    with Service(credentials=("reader", "other")) as service:
        for url, says in ((service.url, "answers 401"), (closed_port, "cannot be asked")):
            ran = restante("probe", "--yes", "--project", 7, "--url", url, environment=ACCOUNT)
            assert ran.code == 2
            assert says in ran.err
            assert SECRET not in ran.err + ran.out
        assert service.messages() == []


def test_limit_on_the_way_leaves_no_profile(restante):
    """Answers are shown; nobody could see the profile go, which is told."""
    with Service(queries_an_hour=4) as service:
        ran = restante("probe", "--yes", "--project", 7, "--url", service.url, environment=ACCOUNT)
        assert service.profiles() == {}
    assert ran.code == 2
    assert "answers 429 for /api/query/engage; it wants 3" in ran.err
    assert "may still be there" in ran.err
    assert "at once" in ran.out


def test_interrupt_deletes_the_profile(restante, until):
    with Service(read_lag=3_600) as service:
        process = restante.start("probe", "--yes", "--project", 7, "--url", service.url, environment=ACCOUNT)
        until(service.profiles, "the profile")
        process.send_signal(signal.SIGINT)
        ran = restante.finish(process)
        assert service.profiles() == {}
    assert ran.code == 130
    assert "Deleting the profile restante-probe-" in ran.err
    assert "may still be there; look for it in the project" in ran.err
    # Python itself tells of an answer in whose making it was interrupted.
    assert "Traceback" not in ran.err.partition("Exception ignored in: <http.client")[0]
