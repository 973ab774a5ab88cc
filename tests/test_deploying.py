"""The units and compose files of docs/deploying.md: read by those that would, with commands that exist."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tui.cli import restante

PAGE = (Path(__file__).parents[1] / "docs" / "deploying.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(ini|yaml)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
UNITS = {
    re.match(r"# /etc/systemd/system/(.*)\n", body)[1]: body for language, body in BLOCKS if language == "ini"
}
COMPOSED = [yaml.safe_load(body)["services"] for language, body in BLOCKS if language == "yaml"]
PROGRAM = re.compile(r"/opt/\w+/.venv/bin/restante")


def parsed(command):
    """The arguments of a command line, as the command itself reads them."""
    _, name, *arguments = shlex.split(command)
    context = restante.make_context("restante", [name], resilient_parsing=True)
    found = restante.get_command(context, name)
    return found.make_context(name, arguments, parent=context).params


@pytest.mark.parametrize("name", UNITS)
def test_unit_is_one_that_systemd_takes(name, tmp_path):
    if name.endswith(".timer"):  # one without its service is none
        (tmp_path / name.replace(".timer", ".service")).write_text(
            UNITS[name.replace(".timer", ".service")].replace("[Service]\n", "[Service]\nType=oneshot\n")
        )
    unit = tmp_path / name
    unit.write_text(UNITS[name])
    for file in tmp_path.iterdir():  # systemd looks for the program and the account
        text = PROGRAM.sub(sys.executable, file.read_text())
        file.write_text(text.replace("User=kiosk", "User=root"))
    program = shutil.which("systemd-analyze") or pytest.skip("systemd-analyze is not installed")
    done = subprocess.run(
        [program, "verify", "--man=no", unit], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_commands_of_units_exist():
    commands = [
        line for body in UNITS.values() for line in re.findall(r"^ExecStart=(.*)$", body, re.MULTILINE)
    ]
    assert len(commands) == 2
    for command in commands:
        assert parsed(command)


def test_commands_of_containers_exist():
    commands = [one["command"] for services in COMPOSED for one in services.values() if "command" in one]
    assert len(commands) == 3
    for command in commands:
        assert parsed(command)
    (relay,) = (parsed(command) for command in commands if " relay " in command)
    assert (relay["allow"], relay["port"], relay["yes"]) == (("172.28.0.0/24",), 8766, True)
