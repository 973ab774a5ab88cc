"""Help: quick, with an example, and for terminals of 80 columns."""

import json

import pytest

COMMANDS = [
    "prune",
    "record",
    "ship",
    "status",
    "entries",
    "profiles",
    "tui",
    "retry",
    "discard",
    "settle",
    "edit",
    "forget",
    "export",
    "token",
    "audit",
    "doctor",
    "salvage",
    "snapshot",
    "compare",
    "fleet",
    "simulator",
    "conform",
    "probe",
    "relay",
    "demo",
    "help",
]
PAGES = [[], *([command] for command in COMMANDS)]
SLOW_TO_IMPORT = [
    "textual",
    "requests",
    "urllib3",
    "werkzeug",
    "waitress",
    "sqlite_utils",
    "rich",
    "mixpanel",
    "hypothesis",
    "email",
]
# The command, and then what was imported on the way.
WHAT_IS_IMPORTED = """
import json, sys
from tui.cli import main
try:
    main()
finally:
    print(json.dumps(sorted(name for name in sys.modules if "." not in name)), file=sys.stderr)
"""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: " ".join(page) or "restante")
def test_help_has_an_example(restante, page):
    ran = restante(*page, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert max(map(len, ran.out.splitlines())) <= 80
    example = f"restante {page[0]}" if page else "restante record --token"
    assert any(
        line.strip().startswith(example) or f"  {example}" in line for line in ran.out.splitlines()[1:]
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: " ".join(page) or "restante")
def test_help_fits_any_width(restante, page):
    for columns in ("40", "200"):
        ran = restante(*page, "-h", environment={"COLUMNS": columns})
        assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "besides"),
    [
        ("--help", ["sqlite3"]),
        ("--version", ["sqlite3"]),
        ("status --help", []),
        ("tui --help", []),
    ],
)
def test_quick_commands_import_little(restante, arguments, besides):
    ran = restante.process(*arguments.split(), program=WHAT_IS_IMPORTED)
    assert ran.code == 0
    imported = json.loads(ran.err)
    assert "click" in imported
    assert [name for name in SLOW_TO_IMPORT + besides if name in imported] == []


def test_every_command_is_listed(restante):
    groups = restante("--help").out.partition("Record and ship:\n")[2]
    listed = dict(line.split(maxsplit=1) for line in groups.splitlines() if line.startswith("  "))
    assert sorted(listed) == sorted(COMMANDS)
    assert all(len(said) > 20 for said in listed.values())
    assert "..." not in groups


def test_help_command_is_the_option(restante):
    assert restante("help").out == restante("--help").out
    assert restante("help", "ship").out == restante("ship", "--help").out
    ran = restante("help", "shop")
    assert (ran.code, ran.out, "No such command 'shop'" in ran.err) == (2, "", True)
    assert "Options of a command follow its name" in restante("-j", "kiosk.db", "status").err


@pytest.mark.parametrize(
    "arguments", [["--nonsense"], ["nonsense"], ["status", "--nonsense"], ["ship", "what"]]
)
def test_wrong_usage_points_to_help(restante, arguments):
    ran = restante(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "--help" in ran.err


def test_no_command_shows_help(restante):
    ran = restante()
    assert ran.code == 2
    assert "Record and ship:" in ran.err
    assert "Error" not in ran.err


def test_version_is_told(restante):
    ran = restante("--version")
    assert ran.code == 0
    assert ran.out.startswith("restante, version ")
