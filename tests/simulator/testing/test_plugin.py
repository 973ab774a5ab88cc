"""The pytest plugin, in an empty project of somebody else's."""

import re
import subprocess
import sys
import textwrap

import pytest

import pytest_restante

ALWAYS = ["--strict-markers", "--strict-config", "-p", "no:cacheprovider", "-W", "error", "-ra"]


@pytest.fixture
def project(tmp_path):
    def run(source, *options, blocked=()):
        (tmp_path / "test_theirs.py").write_text(textwrap.dedent(source), encoding="utf-8")
        code = f"import sys; [sys.modules.update({{name: None}}) for name in {list(blocked)!r}]; "
        code += "import pytest; sys.exit(pytest.main(sys.argv[1:]))"
        return subprocess.run(
            [sys.executable, "-c", code, *ALWAYS, *options],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def outcome(done):
    return re.search(r"=+ (.*) in [\d.]+s.* =+$", done.stdout.strip().splitlines()[-1])[
        1
    ], done.stdout + done.stderr


def test_plugin_imports_nothing_early(project):
    done = project("""
        import sys

        def test_loaded():
            names = {name.partition(".")[0] for name in sys.modules}
            assert "pytest_restante" in names
            assert not names & {"recorder", "simulator", "tui", "hypothesis", "werkzeug", "sqlite_utils"}
    """, "-p", "no:hypothesispytest")  # fmt: skip
    assert outcome(done)[0] == "1 passed", outcome(done)[1]


def test_fixtures_are_documented():
    fixtures = {
        name: value.__doc__ for name, value in vars(pytest_restante).items() if name.startswith("restante_")
    }
    kinds = {"simulator", "recorder", "service"}
    assert fixtures.keys() == {f"restante_{kind}" for kind in kinds} | {
        f"restante_new_{kind}" for kind in kinds
    }
    assert all(fixtures.values())


def test_fixtures_serve_a_project(project):
    """Each test has its own, recorders ship nowhere by default, and factories serve Hypothesis.

    A failed equality shows types.
    """
    done = project("""
        import pytest
        from hypothesis import given, settings
        from simulator.testing import strategies

        @pytest.mark.parametrize("again", [False, True])
        def test_fresh(restante_simulator, restante_recorder, restante_service, again):
            for people in (restante_simulator, restante_recorder):
                people.people_increment("ada", {"visits": 1})
            assert restante_recorder.statistics().recorded == 1
            assert restante_service.profiles() == {}
            assert restante_recorder.flush().stopped_by == "done"
            assert restante_service.profiles() == {"ada": {"visits": 1}}
            assert dict(restante_simulator.profile("ada")) == {"visits": 1}

        def test_offline(restante_recorder):
            restante_recorder.people_set("ada", {"plan": "pro"})
            report = restante_recorder.flush()
            assert (report.stopped_by, report.pending) == ("offline", 1)

        @settings(max_examples=3, deadline=None)
        @given(strategies.histories())
        def test_any(restante_new_simulator, restante_new_recorder, restante_new_service, history):
            simulator = restante_new_simulator()
            with restante_new_service() as service, restante_new_recorder(
                url=service.url, durability="process"
            ) as recorder:
                for message in history:
                    simulator.people_update(message)
                    recorder.people_update(message)
                assert recorder.flush().stopped_by == "done"
                assert service.profiles() == {id_: dict(one) for id_, one in simulator.profiles.items()}

        def test_left_open(restante_new_recorder, tmp_path):
            recorder = restante_new_recorder("THEIRS", journal=tmp_path / "kept.db", clock=lambda: 1.5)
            recorder.people_set("ada", {})
            assert (tmp_path / "kept.db").exists()

        def test_type(restante_simulator):
            restante_simulator.people_set("ada", {"visits": 1.0, "plan": "pro", "tags": ["a", "b"]})
            assert restante_simulator.profile("ada") == {"visits": 2, "plan": "pro", "tags": ["a"]}

        def test_other_side(restante_simulator):
            restante_simulator.people_set("ada", {"visits": 1})
            assert {"visits": 3} == restante_simulator.profile("ada")

        def test_all(restante_simulator):
            restante_simulator.people_set("ada", {"visits": 1})
            restante_simulator.people_set("bob", {"visits": 1.0})
            assert restante_simulator.profiles == {"ada": {"visits": 4}, "bob": {"visits": 1}, "cyd": {}}

        def test_no_mapping(restante_simulator):
            restante_simulator.people_set("ada", {"visits": 1})
            assert restante_simulator.profile("ada") == 7
    """)  # fmt: skip
    result, text = outcome(done)
    assert result == "4 failed, 5 passed", text
    assert "profile 'ada'" in text
    assert "visits: 4 → 1" in text
    assert "profile 'cyd'" in text
    assert "profile 'bob'" not in text  # Python's == takes 1 for 1.0, and it is what failed
    assert "visits: 2 → 1.0" in text
    assert '+ tags[1]: "b"' in text
    assert "visits: 1 → 3" in text
    assert "INTERNALERROR" not in text


def test_missing_packages_are_named(project):
    """Assertions need no Hypothesis, and a service without werkzeug is skipped."""
    done = project("""
        import sys
        import pytest
        sys.modules["hypothesis"] = None  # as where it is not installed
        from simulator.testing import Operation, assert_profile, to_test

        def test_theirs(restante_simulator):
            restante_simulator.apply(Operation("$set", {"plan": "pro"}).on("ada"))
            assert_profile(restante_simulator, "ada", {"plan": "pro"})
            assert to_test([])
            with pytest.raises(ImportError, match="restante\\\\[testing\\\\]"):
                from simulator.testing import strategies
            with pytest.raises(ImportError, match="restante\\\\[testing\\\\]"):
                from simulator.testing import law_suite

        def test_service(restante_service):
            raise NotImplementedError
    """, "-p", "no:hypothesispytest", blocked=["werkzeug"])  # fmt: skip
    result, text = outcome(done)
    assert result == "1 passed, 1 skipped", text
    assert "pip install 'restante[service]'" in text


@pytest.mark.long
def test_fixtures_load_everything_early(project):
    """Hypothesis's first example has the same deadline as the others."""
    done = project("""
        import sys

        def test_loaded(restante_new_simulator, restante_new_recorder, restante_new_service):
            before = set(sys.modules)
            restante_new_simulator().people_set("ada", {})
            with restante_new_service() as service, restante_new_recorder(url=service.url) as recorder:
                recorder.people_set("ada", {})
                recorder.flush()
                service.profiles()
            with restante_new_recorder() as recorder:
                recorder.people_set("ada", {})
                recorder.flush()
            assert set(sys.modules) - before == set()

        def test_hidden(restante_simulator):
            from simulator.testing import assert_profile
            assert_profile(restante_simulator, "ada", {})
    """)
    text = done.stdout
    assert "1 failed, 1 passed" in text, text
    assert re.search(r"^test_theirs.py:\d+: AssertionError$", text, re.MULTILINE)
    assert "assertions.py" not in text


@pytest.mark.long
def test_marks_work_in_both_kinds(project):
    done = project("""
        import unittest
        from hypothesis import settings
        from simulator import Simulator
        from simulator.testing import law_suite

        class Forgets(Simulator):
            def apply(self, message):
                return [] if "$unset" in message else super().apply(message)

        marks = {"settings": settings(max_examples=20, deadline=None), "xfail": {"unset_absorbs": "known"}}
        TestPlain = law_suite(make=Forgets, **marks)
        TestFixed = law_suite(make=Simulator, **marks)

        class Case(law_suite(make=Forgets, **marks), unittest.TestCase):
            pass

        class Fixed(law_suite(make=Simulator, **marks), unittest.TestCase):
            pass
    """, "-k", "unset_absorbs")  # fmt: skip
    assert outcome(done)[0].startswith("2 failed, "), outcome(done)[1]
    assert "2 xfailed" in outcome(done)[0]
    assert done.stdout.count("- known") == 2
    assert set(re.findall(r"^FAILED .*::(\w+)::", done.stdout, re.MULTILINE)) == {"TestFixed", "Fixed"}
