"""The laws hold for the simulator and for an implementation written from the rules; each breaks where it should."""

import contextlib
import inspect
import unittest
from pathlib import Path
from threading import Event

import pytest
from hypothesis import Phase, given, settings
from hypothesis.database import InMemoryExampleDatabase

from simulator import Simulator
from simulator.testing import Operation, law_suite, laws
from tests.profiles import costly
from tests.simulator.testing import models

# Derandomised: what must be found is found again.
MANY = settings(deadline=None, max_examples=3_000, database=None, derandomize=True, phases=[Phase.generate])

TestSimulator = law_suite(make=Simulator, settings=costly(2))
TestPlain = law_suite(make=models.Plain, settings=costly(2))
TestQueue = pytest.mark.long(law_suite(make=models.Queue, settings=costly(2)))


def check(law, make):
    """Check one law, as the suite does."""

    @MANY
    @given(**law.given)
    def test(**variables):
        law(make, **variables)

    test()


# For each law an implementation with one fault that breaks it: no law is unable to fail.
BROKEN = {
    "an_operation_touches_what_it_names": models.SetTouchesMore,
    "an_operation_is_one_of_each_property": models.FirstPropertyOnly,
    "a_delete_takes_its_profile_and_no_other": models.DeleteTakesAll,
    "ids_and_names_are_told_apart": models.IdsAreNumbers,
    "looking_changes_nothing": models.UnsetFoldedAway,
    "what_is_held_is_all_that_counts": models.SetOnceRemembers,
    "what_is_set_is_stored_whole": models.SetMerges,
    "a_sum_beyond_doubles_is_left_alone": models.AddToInfinity,
    "messages_stay_their_owners": models.HandsOverItsList,
    "everything_but_delete_creates": models.UnsetCreatesNothing,
    "repeated_at_once_counts_once": models.UnionAppends,
    "each_add_counts": models.DropsRepeats,
    "each_append_counts": models.DropsRepeats,
    "set_absorbs": models.NullIsNotSet,
    "unset_absorbs": models.UnsetSetsNull,
    "delete_absorbs": models.DeleteEmpties,
    "after_delete_all_starts_afresh": models.DeleteDoesNothing,
    "what_is_set_is_not_set_once_more": models.NullCountsAsUnset,
    "set_then_anything_is_one_set": models.RemoveFirst,
    "unset_then_anything_starts_from_nothing": models.UnsetFoldedAway,
    "unions_fuse": models.UnionGoesToTheFront,
    "a_single_member_is_a_union_of_one": models.UnionOfListsOnly,
    "the_first_set_once_stays": models.SetOnceSets,
    "integer_adds_fuse": models.NeverBelowZero,
    "float_adds_fuse_but_for_rounding": models.RoundsToCents,
    "integer_adds_commute": models.NeverBelowZero,
    "unions_commute": models.UnionOverwrites,
    "appends_commute": models.AppendOverwrites,
    "removes_commute": models.RemoveFromTheEnd,
    "remove_and_unset_commute": models.RemoveMakesLists,
    "set_and_set_once_commute": models.NullCountsAsUnset,
    "membership_is_equality_of_json": models.PythonsIn,
    "union_keeps_the_order": models.SortedUnion,
    "remove_takes_every_equal_element": models.RemoveFirst,
    "remove_takes_each_of_a_list": models.RemoveLooksForTheList,
    "append_nests_a_list": models.AppendExtends,
    "add_takes_what_is_missing_for_zero": models.AddOfZeroIsDropped,
    "union_makes_a_list_of_what_is_missing": models.UnionOfWhatIsThere,
    "sums_are_exact_for_integers_and_ieee_for_floats": models.AddOfFloats,
    "what_does_not_fit_is_left_alone": models.AddReplaces,
}


def test_every_law_has_broken_implementation():
    assert BROKEN.keys() == laws.LAWS.keys()


# Faults that take Hypothesis the most examples to find.
RARE = {
    "looking_changes_nothing",
    "removes_commute",
    "set_and_set_once_commute",
    "set_then_anything_is_one_set",
    "what_is_held_is_all_that_counts",
    "what_is_set_is_not_set_once_more",
}


@pytest.mark.parametrize(
    ("name", "make"),
    [
        pytest.param(name, make, marks=[pytest.mark.long] if name in RARE else [])
        for name, make in BROKEN.items()
    ],
)
def test_broken_implementation_breaks_its_law(name, make):
    suite = law_suite(make=make, settings=MANY)
    with pytest.raises(AssertionError, match=f"^law {name}, "):
        getattr(suite(), f"test_{name}")()


@pytest.mark.parametrize("name", laws.TRAPS)
def test_a_trap_is_no_law(name):
    with pytest.raises(AssertionError, match=f"^law {name}, "):
        check(laws.TRAPS[name], Simulator)


def test_every_law_is_documented():
    assert len(laws.LAWS) >= 30
    for name, law in {**laws.LAWS, **laws.TRAPS}.items():
        assert getattr(laws, name) is law
        assert name in laws.__all__
        assert law.statement
        assert law.given
        assert inspect.signature(law.equation).parameters.keys() == {"fold", *law.given}


def test_law_failure_shows_both_histories():
    laws.set_absorbs(Simulator, start=None, earlier=Operation("$add", {"a": 1}), value=1)
    with pytest.raises(AssertionError) as broken:
        laws.each_add_counts(models.AddOfFloats, start={"a": 1}, number=1)
    text = str(broken.value)
    assert text.startswith("law each_add_counts, exactly: add n; add n adds n twice.")
    assert "{'$distinct_id': 'u1', '$add': {'a': 1}}" in text
    assert "a: 3 (integer) → 3.0 (float)" in text


# --- the suite


def test_laws_can_be_skipped_or_xfailed():
    suite = law_suite(
        make=models.RemoveFirst,
        skip={"removes_commute": "not ours to say"},
        xfail=["remove_takes_every_equal_element"],
    )
    (skipped,) = suite.test_removes_commute.pytestmark
    assert (skipped.name, skipped.kwargs) == ("skip", {"reason": "not ours to say"})
    (expected,) = suite.test_remove_takes_every_equal_element.pytestmark
    assert (expected.name, expected.kwargs["strict"]) == ("xfail", True)


def outcome(suite, *names):
    """Run some laws of a suite with unittest, in a class as users write it."""

    class Laws(suite, unittest.TestCase):
        fresh = False

        def setUp(self):
            self.fresh = True

        def tearDown(self):
            assert self.fresh

    result = unittest.TestResult()
    unittest.TestSuite(Laws(f"test_{name}") for name in names).run(result)
    return result


FEW = settings(MANY, max_examples=20)


def test_unittest_runs_laws():
    broken, kept = "remove_takes_every_equal_element", "unions_fuse"
    result = outcome(law_suite(make=models.RemoveFirst, settings=FEW), broken, kept)
    assert (result.testsRun, result.errors) == (2, [])
    assert [case._testMethodName for case, _ in result.failures] == [f"test_{broken}"]


def test_unittest_heeds_skip_and_xfail(monkeypatch):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    name = "remove_takes_every_equal_element"
    skipping = outcome(law_suite(make=models.RemoveFirst, settings=FEW, skip={name: "not ours"}), name)
    assert [reason for _, reason in skipping.skipped] == ["not ours"]
    failing = outcome(law_suite(make=models.RemoveFirst, settings=FEW, xfail=[name]), name)
    assert (len(failing.expectedFailures), failing.wasSuccessful()) == (1, True)
    assert not outcome(law_suite(make=Simulator, settings=FEW, xfail=[name]), name).wasSuccessful()


def test_subtests_can_run_laws():
    class Laws(unittest.TestCase):
        def test_laws(self):
            suite = law_suite(make=models.RemoveFirst, settings=FEW)()
            for name in ("unions_fuse", "remove_takes_every_equal_element"):
                with self.subTest(name):
                    getattr(suite, f"test_{name}")()

    result = unittest.TestResult()
    Laws("test_laws").run(result)
    assert [case.params for case, _ in result.failures] == [{}]
    assert "remove_takes_every_equal_element" in str(result.failures[0][0])


def test_several_classes_inherit_one_suite():
    suite = law_suite(make=Simulator, settings=FEW)
    suite().test_unions_fuse()
    assert all(outcome(suite, "unions_fuse").wasSuccessful() for _ in range(2))


def test_failure_names_line_of_suite():
    name = "remove_takes_every_equal_element"
    ((_, text),) = outcome(law_suite(make=models.RemoveFirst, settings=FEW), name).failures
    first, source = text.splitlines()[1:3]
    assert __file__ in first
    assert "law_suite(make=models.RemoveFirst, settings=FEW)" in source
    assert str(Path(laws.__file__).parent) not in text.partition("AssertionError")[0]


@pytest.mark.long
def test_slow_first_use_keeps_deadline():
    """Implementations import and connect when they are first made."""
    loaded = Event()

    class Loads(Simulator):
        def __init__(self):
            super().__init__()
            loaded.wait(0 if loaded.is_set() else 2)
            loaded.set()

    law_suite(make=Loads, settings=settings(FEW, deadline=1_500))().test_unions_fuse()


def test_unknown_law_is_refused():
    with pytest.raises(ValueError, match="no such law: gravity; there are an_operation_touches"):
        law_suite(make=Simulator, skip=["gravity"])


def test_suites_share_no_tests():
    few = settings(MANY, max_examples=10)
    one, other = law_suite(make=Simulator, settings=few), law_suite(make=Simulator, settings=few)
    assert one.test_unions_fuse is not other.test_unions_fuse
    one().test_unions_fuse()
    other().test_unions_fuse()


def test_law_closes_each_implementation():
    made, closed = [], []

    class Closing(models.RemoveFirst):
        def __init__(self):
            super().__init__()
            made.append(self)

        def close(self):
            closed.append(self)

    suite = law_suite(make=Closing, settings=settings(MANY, max_examples=30))
    with pytest.raises(AssertionError):
        suite().test_remove_takes_every_equal_element()
    suite().test_messages_stay_their_owners()
    assert len(made) == len(closed) > 30


def test_stamping_breaks_one_law_only():
    class Stamps(models.Plain):
        def apply(self, message):
            super().apply(message)
            message["$token"] = "T"

    suite = law_suite(make=Stamps, settings=settings(MANY, max_examples=20))()
    suite.test_set_absorbs()
    suite.test_unions_fuse()
    with pytest.raises(AssertionError, match="it changed the message it was given"):
        suite.test_messages_stay_their_owners()


def test_implementation_errors_are_not_wrapped():
    class Refuses(models.Plain):
        def apply(self, message):
            assert "$unset" not in message, "not yet"
            super().apply(message)

    with pytest.raises(AssertionError, match=r"^not yet"):
        laws.unset_absorbs(Refuses, start=None, earlier=Operation("$add", {"a": 1}))


def test_laws_have_separate_example_databases():
    """Hypothesis keeps what failed, by test: with one key for all, a law would forget another's failure."""
    keys = []

    class Spy(InMemoryExampleDatabase):
        def save(self, key, value):
            keys.append(key)
            super().save(key, value)

    chosen = settings(MANY, database=Spy())
    for make, name in (
        (models.SetOnceSets, "the_first_set_once_stays"),
        (models.SetOnceSets, "what_is_set_is_not_set_once_more"),
        (models.NullCountsAsUnset, "what_is_set_is_not_set_once_more"),
    ):
        with contextlib.suppress(AssertionError):
            getattr(law_suite(make=make, settings=chosen)(), f"test_{name}")()
    assert len(set(keys)) == 3
