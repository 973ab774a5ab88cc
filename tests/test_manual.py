"""The manual page: as new as the texts that it is made from, with every command, and as `man` reads it."""

import shutil
import subprocess

import pytest

from docs.manual import PAGE, page
from tui.cli.command import COMMANDS


def test_manual_is_as_new_as_help():
    assert PAGE.read_text("utf-8") == page(), "`make man` writes it anew"


def test_manual_has_every_command():
    text = PAGE.read_text("utf-8")
    for name in COMMANDS:
        assert f'\n.SS "restante {name}' in text, name
    for words in (".B \\-j, \\-\\-journal FILE", ".B RESTANTE_JOURNAL", ".B \\-\\-color [auto|always|never]"):
        assert f"\n{words}\n" in text


def test_manual_is_read_without_warning():
    groff = shutil.which("groff") or pytest.skip("there is no groff")
    done = subprocess.run(
        [groff, "-ww", "-man", "-Tutf8", "-P-c", str(PAGE)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert "restante export > pending.jsonl" in done.stdout
    assert "\\-" not in done.stdout
