"""The state machine: what agrees passes, and what folds, repeats or shares is found, with a test to keep."""

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from simulator import Dialect, Simulator
from simulator.service.server import Service
from simulator.testing import machine, strategies
from tests.profiles import costly, sampled
from tests.simulator.testing import models

FOUND = settings(
    deadline=None,
    max_examples=200,
    stateful_step_count=8,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
)

TestPlain = machine(make=models.Plain).TestCase
TestQueue = machine(make=models.Queue).TestCase
TestDialect = pytest.mark.long(
    machine(
        make=lambda: Simulator(Dialect(emptied_list="unset")), dialect=Dialect(emptied_list="unset")
    ).TestCase
)
TestDialect.settings = TestPlain.settings = TestQueue.settings = settings(stateful_step_count=8)


@pytest.mark.parametrize(
    "make",
    sampled([models.SendsBatchAgain, models.UnsetFoldedAway, models.DropsRepeats], 3),
    ids=lambda make: make.__name__,
)
def test_machine_finds_faults(make):
    with pytest.raises(AssertionError, match="its profiles differ from the simulator's"):
        run_state_machine_as_test(machine(make=make), settings=FOUND)


@pytest.mark.long  # shrinking takes its time
def test_machine_shrinks_to_runnable_test():
    shrunk = settings(FOUND, phases=[Phase.generate, Phase.shrink])
    with pytest.raises(AssertionError) as broken:
        run_state_machine_as_test(machine(make=models.UnsetFoldedAway), settings=shrunk)
    assert "profile 'u1', from the simulator's to its own:\n  a: " in str(broken.value)
    (note,) = [note for note in broken.value.__notes__ if note.startswith("from simulator import")]
    assert 3 <= note.count("simulator.apply(") <= 5
    namespace = {}
    exec(note, namespace)  # noqa: S102  # it is a test's text
    namespace["test_history"]()


def test_machine_closes_implementations():
    closed = []

    class Closing(models.SendsBatchAgain):
        def close(self):
            closed.append(self)

    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine(make=Closing), settings=FOUND)
    assert closed


def test_machine_takes_a_service():
    """`profiles` may be a method, as the local service's is."""
    import requests

    with Service() as service, requests.Session() as session:
        session.trust_env = False

        class Posting:
            def __init__(self):
                service.reset()
                self.profiles = service.profiles

            def apply(self, message):
                session.post(service.url + "/engage", json=[{"$token": "T", **message}], timeout=60)

        run_state_machine_as_test(
            machine(make=Posting, messages=strategies.messages(max_operators=2)),
            settings=costly(10),
        )


def test_machine_compares_groups():
    class DropsGroups(Simulator):
        def apply(self, message):
            return super().apply(message) if "$group_key" not in message else []

    some = strategies.messages(groups=True)
    with pytest.raises(AssertionError, match=r"profile \('company', "):
        run_state_machine_as_test(machine(make=DropsGroups, messages=some), settings=FOUND)
    with pytest.raises(TypeError, match="OnlyUsers has no groups: give messages of users only"):
        run_state_machine_as_test(machine(make=OnlyUsers, messages=some), settings=FOUND)


class OnlyUsers:
    def __init__(self):
        self.plain = models.Plain()

    @property
    def profiles(self):
        return self.plain.profiles

    def apply(self, message):
        if "$group_key" not in message:
            self.plain.apply(message)
