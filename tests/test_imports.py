"""What loading a package loads, and what works without the optional ones. See ARCHITECTURE.md."""

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import tui

LOADED = """
import sys
before = set(sys.modules)
{statement}
print(*sorted({{name.partition(".")[0] for name in set(sys.modules) - before}}))
"""


def python(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def loaded_by(statement):
    done = python(LOADED.format(statement=statement))
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


OURS = {"recorder", "simulator", "tui"}

RECORDING = """
import sys
from recorder import Recorder
with Recorder("T", sys.argv[1]) as recorder:
    recorder.people_set("ada", {"plan": "pro"})
    with recorder.batch() as batch:
        batch.people_track_charge("ada", 9.99)
print(*sys.modules)
"""


def test_recording_program_imports_little(tmp_path):
    """It is started often, on small devices: see docs/performance.md."""
    path = tmp_path / "kiosk.db"
    assert python(RECORDING, path).returncode == 0  # making a journal takes more, once
    done = python(RECORDING, path)
    assert done.returncode == 0, done.stderr
    loaded = {*done.stdout.split()}
    slow = {"dataclasses", "hashlib", "inspect", "logging", "random", "socket", "ssl", "subprocess", "uuid"}
    assert not loaded & (slow | {"requests", "sqlite_utils"})
    ours = {name for name in loaded if name.startswith("recorder.")}
    packages = (
        "recorder.shipping",
        "recorder.reading",
        "recorder.maintenance",
        "recorder.model",
        "recorder.journal",
    )
    assert {name for name in ours if not name.startswith(packages[3:])} == {
        "recorder.recorder",
        "recorder.background",
    }


def test_nothing_is_logged_where_nobody_listens():
    """Without a handler of its own, Python would print warnings of the library's to the terminal."""
    said = python("from recorder import Shipper; import logging; logging.getLogger('restante').warning('x')")
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import recorder", {"recorder"}),
        ("from recorder import Journal, JournalReader, Recorder", {"recorder"}),
        ("import simulator", {"recorder", "simulator"}),
    ],
)
def test_package_loads_only_standard_library(statement, allowed):
    assert loaded_by(statement) - set(sys.stdlib_module_names) == allowed


def test_simulator_needs_no_database():
    """It shares the recorder's vocabulary; what the recorder's package loads besides is the standard library's."""
    assert "sqlite_utils" not in loaded_by(
        "import simulator; simulator.Simulator().people_set('ada', {'a': 1})"
    )


BLOCKED = """
import io, json, sys
for name in "textual hypothesis pytest werkzeug waitress mixpanel dask distributed fsspec pyarrow".split():
    sys.modules[name] = None  # importing it raises ImportError
from tui.cli import main
done = []
for arguments in json.loads(sys.argv[1]):
    sys.argv, sys.stderr = ["restante", *arguments], io.StringIO()
    try:
        main()
    except SystemExit as ended:
        done.append([ended.code, sys.stderr.getvalue()])
print(json.dumps(done))
"""


def test_commands_work_without_optional_packages(tmp_path):
    """Each in turn, in one process; what needs a package names it, and the extra that has it."""
    path, source = str(tmp_path / "kiosk.db"), str(tmp_path / "updates.jsonl")
    Path(source).write_text('{"$distinct_id": "ada", "$set": {"a": 1}}\n', encoding="utf-8")
    nowhere = ("-j", path, "--url", "http://127.0.0.1:9")
    expected = [
        (("record", "-j", path, "--token", "T", source), 0, "Recorded 1 entry"),
        (("ship", *nowhere), 1, "Offline"),
        *(((command, "-j", path), 0, "") for command in ("status", "entries", "profiles")),
        (("fleet", path), 1, ""),
        (("compare", *nowhere), 1, "Error"),
        (("simulator",), 1, "restante[service]"),
        (("demo",), 1, "restante[service]"),
        *(((command, "--help"), 0, "") for command in ("simulator", "demo", "relay", "tui", "conform")),
        (("relay", "--token", "T"), 1, "Error: the relay needs waitress: pip install 'restante[relay]'\n"),
        (
            ("conform", "--drawn", "--", "cat"),
            1,
            "Error: drawing needs hypothesis: pip install 'restante[testing]', or give --vectors\n",
        ),
        (
            ("tui", "-j", path, "--screenshot", str(tmp_path / "screen.svg")),
            1,
            "Error: The browser needs textual: pip install 'restante[tui]'\n",
        ),
    ]
    done = python(BLOCKED, json.dumps([arguments for arguments, _, _ in expected]))
    assert done.returncode == 0, done.stderr
    for (arguments, code, words), (ended, said) in zip(
        expected, json.loads(done.stdout.splitlines()[-1]), strict=True
    ):
        assert ended == code, (arguments, said)
        assert words in said, arguments
        assert "Traceback" not in said, arguments


PUBLIC_MODULES = (
    "recorder",
    "recorder.model",
    "recorder.reading",
    "recorder.maintenance",
    "recorder.relay",
    "recorder.journal.decisions",
    "recorder.shipping",
    "simulator",
)


def test_tui_uses_public_names():
    for path in sorted(Path(tui.__path__[0]).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("recorder", "simulator")):
                assert node.module.startswith(PUBLIC_MODULES[1:]) or node.module == "recorder", (
                    path,
                    node.module,
                )
                exported = importlib.import_module(node.module).__all__
                assert {alias.name for alias in node.names} <= set(exported), (path, node.module)
