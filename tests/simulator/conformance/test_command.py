"""Programs that are asked in lines: broken in every way, they are told what they did, and end."""

import fcntl
import json
import sys

import pytest

from simulator.conformance import Command, ImplementationFailed, Skipped, process
from tests.services import eventually

MESSAGE = {"$distinct_id": "ada", "$add": {"visits": 1}}
READ = "import sys, time, os; line = sys.stdin.readline();"
WRONG = {
    "ends at once": ("import sys; sys.exit('no config')", "ended with exit code 1"),
    "ends when asked": (READ + "sys.exit(3)", "ended with exit code 3"),
    "writes words": (READ + "print('Ready.')", "cannot be used: Expecting value"),
    "writes a list": (READ + "print('[]')", "must be an object, not a list"),
    "writes no state": (READ + "print('{}')", "state is not an object or null"),
    "writes a number": (READ + """print('{"state": 1}')""", "state is not an object or null"),
    "writes NaN": (READ + """print('{"state": {"a": NaN}}')""", "state.a: "),
    "writes names twice": (READ + """print('{"state": {"a": 1, "a": 2}}')""", "appears twice in an object"),
    "writes half a character": (READ + """print('{"state": {"a": "\\\\ud800"}}')""", "state.a: "),
    "nests without end": (READ + "print('[' * 100_000)", "nested too deeply"),
    "is not UTF-8": (READ + r"sys.stdout.buffer.write(b'\xff\n')", "can't decode byte 0xff"),
    "answers another": (READ + """print('{"n": 2, "state": null}')""", "n is 2, not 1"),
    "closes its output": (READ + "os.close(1); time.sleep(600)", "closed its standard output"),
    "never answers": (READ + "time.sleep(600)", "no answer in 0.3 seconds"),
    "never reads": ("import time; time.sleep(600)", "no answer in 0.3 seconds"),
    "writes errors for ever": (READ + "[sys.stderr.write('x' * 1000) for _ in iter(int, 1)]", "no answer in"),
    "writes a line for ever": (
        READ + "[sys.stdout.write('x' * 9999) for _ in iter(int, 1)]",
        "line is longer",
    ),
}


def program(text):
    return [sys.executable, "-c", text]


@pytest.mark.parametrize(("text", "reason"), WRONG.values(), ids=WRONG)
def test_broken_program_is_told(text, reason, monkeypatch):
    monkeypatch.setattr(process, "_LONGEST", 1_000_000)
    monkeypatch.setattr(process, "_ENDING", 0.1)
    seconds = 0.3 if "0.3" in reason or "no answer" in reason else 60
    with Command(program(text), timeout=seconds) as implementation:
        with pytest.raises(ImplementationFailed) as failed:
            implementation.run({"ada": {}}, [MESSAGE])
        started = implementation._process
    assert reason in str(failed.value)
    assert (
        f'It was sent: {{"n":1,"state":{{}},"message":{json.dumps(MESSAGE, separators=(",", ":"))}}}'
        in failed.value.hint
    )
    assert started._process.returncode is not None
    assert len(started.errors) <= 2_000


def test_last_words_are_shown():
    text = "import sys; sys.exit('x' * 5_000 + 'no config')"
    with (
        Command(program(text), timeout=60) as implementation,
        pytest.raises(ImplementationFailed) as failed,
    ):
        implementation.run({}, [MESSAGE])
    assert failed.value.hint.endswith("xno config")
    assert len(failed.value.hint) < 1_000


def test_missing_program_is_named():
    with pytest.raises(ImplementationFailed, match="cannot start no-such-program: No such file"):
        Command(["no-such-program"])


@pytest.mark.parametrize("lines", [2, 1_000_000])
def test_more_than_a_line_is_refused(lines):
    answer = '{"state": null}\n'
    text = READ + f"sys.stdout.write({answer!r} * {lines}); sys.stdout.flush(); sys.stdin.read()"
    with (
        Command(program(text), timeout=60) as implementation,
        pytest.raises(ImplementationFailed, match="more than a line for each request"),
    ):
        implementation.run({}, [MESSAGE] * 100)


def test_large_request_and_answer_pass():
    """Larger than any pipe, both at a time: it is read while it is written."""
    text = "import sys\nfor line in sys.stdin: sys.stdout.write(line); sys.stdout.flush()"
    state = {"a": ["é" * 1_000] * 1_000}
    with Command(program(text), timeout=60) as implementation:
        (found,) = implementation.run({"ada": state}, [MESSAGE]).values()
    assert found == state


def test_skipping_and_numbers_are_optional():
    text = """
import json, sys
for line in sys.stdin:
    skip = "$add" in json.loads(line)["message"]
    print(json.dumps({"skip": "no numbers"} if skip else {"state": {"a": 1}}), flush=True)
"""
    with Command(program(text), timeout=60) as implementation:
        with pytest.raises(Skipped, match="no numbers"):
            implementation.run({}, [MESSAGE])
        found = implementation.run({}, [{"$distinct_id": "ada", "$set": {"a": 1}}])
        with pytest.raises(Skipped, match="names no profile"):
            implementation.run({}, [{"$set": {"a": 1}}])
    assert list(found.values()) == [{"a": 1}]


def test_profiles_are_told_apart():
    """A user and a group of one name, and what the implementation itself made of each."""
    text = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    state = {**(asked["state"] or {}), **asked["message"]["$set"]} if "$set" in asked["message"] else None
    print(json.dumps({"state": state}), flush=True)
"""
    user, group = {"$distinct_id": "x"}, {"$group_key": "k", "$group_id": "x"}
    with Command(program(text), timeout=60) as implementation:
        found = implementation.run(
            {"x": {"a": 1}, "y": {"a": 1}},
            [
                {**user, "$set": {"b": 2}},
                {**group, "$set": {"c": 3}},
                {**user, "$set": {"d": 4}},
                {"$distinct_id": "y", "$delete": ""},
            ],
        )
    assert found == {(None, "x"): {"a": 1, "b": 2, "d": 4}, ("k", "x"): {"c": 3}}


HOLD = """
import fcntl, sys, time
held = open(sys.argv[1])
fcntl.flock(held, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
"""


def test_children_of_the_program_end(tmp_path, monkeypatch):
    """One that does not care that its input was closed, too. It held a lock as long as it lived."""
    monkeypatch.setattr(process, "_ENDING", 0.1)
    lock = tmp_path / "lock"
    lock.touch()
    text = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {HOLD!r}, {str(lock)!r}], stdout=subprocess.PIPE)
child.stdout.readline()
sys.stdin.readline()
print('{{"state": null}}', flush=True)
time.sleep(600)
"""
    with lock.open() as ours:
        with Command(program(text), timeout=60) as implementation:
            implementation.run({}, [MESSAGE])
            assert not is_free(ours)
        eventually(lambda: is_free(ours))


def is_free(file):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
