"""The same random messages through `restante profiles --from` and through the service, as processes."""

import json
import subprocess
import sys
from collections import Counter
from random import Random

import pytest
import requests

from recorder.model.operations import Operator
from recorder.model.payloads import MAX_MESSAGES
from simulator import Simulator, Verdict
from tests.simulator.service.scribbler import message

RESTANTE = [sys.executable, "-c", "from tui.cli import main; main()"]
TIMEOUT = 120


@pytest.fixture
def service():
    """The URL of a service that applies the valid updates of a batch, as a reader of lines does."""
    command = [*RESTANTE, "simulator", "--port", "0", "--mixed", "apply-valid"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        yield process.stdout.readline().strip()
        process.terminate()


def through_the_command(path, *options):
    """The profiles, and what was said about malformed messages."""
    command = [*RESTANTE, "profiles", "--from", path, "--json", *options]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT, check=True
    )
    return json.loads(done.stdout), done.stderr


def through_the_service(url, messages):
    """The profiles, the groups' profiles, and how many messages were rejected."""
    by_endpoint = {"/engage": [], "/groups": []}
    for one in messages:
        # As any sender would: who names a group sends there. Users and groups never meet, so order is kept.
        named = {"$group_key", "$group_id"} & one.keys()
        by_endpoint["/groups" if named and "$distinct_id" not in one else "/engage"].append(one)
    with requests.Session() as session:
        session.trust_env = False
        for endpoint, updates in by_endpoint.items():
            for start in range(0, len(updates), MAX_MESSAGES):
                batch = updates[start : start + MAX_MESSAGES]
                assert session.post(url + endpoint, json=batch, timeout=TIMEOUT).text == "1"

        def shown(route):
            return session.get(f"{url}/simulator/{route}", timeout=TIMEOUT).json()

        return shown("profiles"), shown("groups"), len(shown("messages?verdict=rejected"))


def spelled(profiles):
    """Text in which 1, 1.0 and true differ, and -0.0 and 0.0, and the order of names."""
    return json.dumps(profiles)


@pytest.mark.parametrize("count", [1_000, pytest.param(200_000, marks=pytest.mark.long)])
def test_command_and_service_agree(service, tmp_path, count):
    random = Random(count)
    messages = [message(random) for _ in range(count)]
    path = tmp_path / "updates.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in messages), encoding="utf-8")
    users, groups, rejected = through_the_service(service, messages)
    for expected, options in ((users, []), (groups, ["--groups"])):
        profiles, said = through_the_command(path, *options)
        assert spelled(profiles) == spelled(expected)
        assert said.startswith(f"{rejected:,} malformed messages had no effect.\n")
    assert len(users) > 150  # some were just deleted
    assert len(groups["crowd"]) > 50
    assert "-0.0" in spelled([users, groups]), "the spelling that is lost most easily is among them"


def test_random_messages_cover_verdicts():
    """What the comparison is worth: it compares all of this."""
    random = Random(5_000)
    simulator = Simulator()
    met = Counter()
    for _ in range(5_000):
        met.update((one.operator, one.verdict) for one in simulator.apply(message(random)))
    usual = {Verdict.APPLIED, Verdict.NO_CHANGE}
    for operator in Operator:
        ignoring = {Operator.ADD, Operator.APPEND, Operator.UNION, Operator.REMOVE}
        for verdict in usual | {Verdict.REJECTED} | ({Verdict.IGNORED} if operator in ignoring else set()):
            if (operator, verdict) != (Operator.APPEND, Verdict.NO_CHANGE):  # of an empty payload only
                assert met[operator, verdict] >= 10, (operator, verdict)
    assert met["$merge", Verdict.REJECTED] >= 100
    rejected = sum(count for (_, verdict), count in met.items() if verdict is Verdict.REJECTED)
    assert 200 < rejected < 2_000
