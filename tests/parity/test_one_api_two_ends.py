"""The same application code on a `Recorder` and on a `Simulator`: the same profiles, the same refusals."""

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder import InvalidOperation, PeopleApi, Recorder, ShippingPolicy
from recorder.model.people import Batch
from simulator import Simulator
from simulator.service.server import Service

scalars = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([1.0, -0.0, 0.1, "", "1", "é", "é"])
)
values = (
    scalars
    | st.lists(scalars, max_size=3)
    | st.dictionaries(st.sampled_from(["x", "y"]), scalars, max_size=2)
)
names = st.sampled_from(["a", "b", "$transactions"])
objects = st.dictionaries(names, values, max_size=2)
calls = st.one_of(
    st.tuples(
        st.sampled_from(["people_set", "people_set_once", "people_append", "people_union", "people_remove"]),
        objects,
    ),
    st.tuples(
        st.just("people_increment"), st.dictionaries(names, st.integers(-3, 3) | st.floats(-2, 2), max_size=2)
    ),
    st.tuples(st.just("people_unset"), st.lists(names, max_size=2)),
    st.tuples(st.just("people_track_charge"), st.sampled_from([1, -1.5, "1", None])),
    st.tuples(st.sampled_from(["people_clear_charges", "people_delete"])),
)
histories = st.lists(st.tuples(st.sampled_from(["ada", "bob", 7, ""]), calls), max_size=12)


def run(people, history):
    """The application: it goes on after an operation is refused, and says which were."""
    refused = []
    for place, (profile, (verb, *arguments)) in enumerate(history):
        try:
            getattr(people, verb)(profile, *arguments)
            people.group_union("team", "red", {"seen": [place]})
        except InvalidOperation as error:
            refused.append((place, error.path))
    return refused


@pytest.fixture(scope="module")
def service():
    with Service() as running:
        yield running


@given(histories, st.integers(1, 5))
def test_recorder_and_simulator_agree(tmp_path_factory, service, history, size):
    path = tmp_path_factory.mktemp("parity") / "kiosk.db"
    service.reset()
    simulator = Simulator(clock=lambda: 1.5)
    refused = run(simulator, history)
    policy = ShippingPolicy(batch_updates=size)
    with Recorder(
        "T", path, url=service.url, policy=policy, clock=lambda: 1.5, durability="process"
    ) as recorder:
        assert run(recorder, history) == refused
        predicted = Simulator.from_journal(path)
        assert recorder.flush().stopped_by == "done"
        shipped = Simulator.from_journal(path, shipped_only=True)
    assert predicted.profiles == simulator.profiles
    assert predicted.groups == simulator.groups
    assert repr(shipped.profiles) == repr(simulator.profiles)
    assert repr(service.profiles()) == repr(
        {id_: dict(profile) for id_, profile in simulator.profiles.items()}
    )
    assert service.messages(verdict="rejected") == []


def test_batch_means_the_same_on_both(tmp_path):
    simulator = Simulator()
    with Recorder("T", tmp_path / "kiosk.db") as recorder:
        for people in (simulator, recorder):
            with people.batch() as batch:
                batch.people_set("ada", {"n": 1})
                people.people_set("ada", {"n": 2})
            with pytest.raises(ZeroDivisionError), people.batch() as batch:
                batch.people_set("ada", {"n": 3})
                raise ZeroDivisionError
        assert Simulator.from_journal(tmp_path / "kiosk.db").profiles == simulator.profiles
    assert simulator.profile("ada")["n"] == 1


@pytest.mark.parametrize("kind", [Recorder, Simulator, Batch])
def test_neither_end_changes_a_verb(kind):
    """The verbs live in PeopleApi alone; what differs between the ends is one hook."""
    verbs = [name for name in vars(PeopleApi) if name.startswith(("people_", "group_"))]
    assert len(verbs) == 18
    assert not set(verbs) & set(vars(kind))


def test_flush_and_close_belong_to_both():
    for name in ("batch", "flush", "close", "__enter__", "__exit__"):
        assert inspect.signature(getattr(Simulator, name)).parameters.keys() == (
            inspect.signature(getattr(Recorder, name)).parameters.keys()
        )
