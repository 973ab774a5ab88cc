"""The configuration file: what it may say, and what is said about what it may not."""

import os
import re
from pathlib import Path

import pytest

from tests.tui.terminal import Terminal
from tui.config import Config, InvalidConfig, load, parse

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "restante").mkdir()
    return tmp_path / "restante" / "config.toml"


@pytest.mark.usefixtures("file")
def test_missing_file_is_no_error():
    assert load() == Config()


def test_documented_file_says_everything(file):
    (example,) = re.findall(r"```toml\n(# ~/.config.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    file.write_text(example, encoding="utf-8")
    assert load() == Config(
        "auto", "nord", "local", ("seq", "age", "state", "profile", "summary"), True, {"journal.retry": "f5"}
    )


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (b"theme = nord", "Invalid value (at line 1, column 9)"),
        (b"\n# na\xefve", "not UTF-8 (at line 2)"),
        (b"keys = " + b"[" * 5_000, "values in values, too deep"),
        (b'colour = "never"', "'colour' is no key; the keys are color, theme,"),
        (b'color = "yes"', "color = 'yes': must be one of auto, always, never"),
        (b"times = 1", "times = 1: must be one of utc, local"),
        (b"theme = 1", "must be the name of a theme"),
        (b'columns = "seq"', "must be a list of seq, age,"),
        (b'columns = ["op"]', "must be a list of seq, age,"),
        (b'remember = "no"', "must be true or false"),
        (b'keys."journal.retry" = 5', 'must be lines such as "journal.retry" = "f5"'),
    ],
)
def test_mistakes_are_named(file, written, words):
    file.write_bytes(written)
    with pytest.raises(InvalidConfig, match=re.escape(words)) as raised:
        load()
    assert str(raised.value).startswith(f"{file}: ")


def test_number_is_always_a_column():
    assert parse(b'columns = ["summary", "age"]').columns == ("seq", "age", "summary")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_other_than_a_file_is_refused(file, make):
    make(file)
    with pytest.raises(InvalidConfig, match="is no regular file"):
        load()


def test_byte_order_mark_is_skipped(file):
    file.write_text('times = "local"', encoding="utf-8-sig")
    assert load().times == "local"


def test_long_value_is_shortened():
    with pytest.raises(ValueError, match=r"^color = 'x{12}\.\.\.x{13}': must be one of") as raised:
        parse(b'color = "' + b"x" * 10_000 + b'"')
    assert len(str(raised.value)) < 100


def test_pipes_and_services_read_no_config(restante, file):
    """A mistake in somebody's file ends nothing but what that person looks at."""
    environment = {"XDG_CONFIG_HOME": str(file.parents[1])}
    file.write_text("color", encoding="utf-8")
    assert "config.toml" not in restante("status", environment=environment).err
    terminal = Terminal()
    assert restante("status", environment=environment, stderr=terminal).code == 2
    assert "config.toml:" in terminal.getvalue()


@pytest.mark.parametrize(("color", "coloured"), [("always", True), ("auto", False), ("never", False)])
def test_config_overrides_no_color(restante, file, color, coloured):
    environment = {"XDG_CONFIG_HOME": str(file.parents[1]), "NO_COLOR": "1"}
    file.write_text(f'color = "{color}"', encoding="utf-8")
    terminal = Terminal()
    restante("status", environment=environment, stderr=terminal)
    assert bool(terminal.styles) is coloured
