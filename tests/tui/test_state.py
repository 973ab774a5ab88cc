"""State between runs of the browser: private, bounded, of one journal, and never an error."""

import os
import stat
from pathlib import Path

import pytest

from tui import state
from tui.state import Remembered, forget, recall, remember

STATE = Remembered("profiles", ("state=rejected", "op=add", "profile=Ada Lovelace"), ("op=add", "coffee"))


def nobody():
    raise RuntimeError("Could not determine home directory.")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "restante"


def test_state_comes_back(tmp_path, monkeypatch):
    remember(tmp_path / "kiosk.db", "a", STATE)
    monkeypatch.chdir(tmp_path)
    assert recall(tmp_path / "x" / ".." / "kiosk.db", "a") == STATE


def test_other_journals_have_none(tmp_path):
    remember(tmp_path / "kiosk.db", "a", STATE)
    assert recall(tmp_path / "kiosk.db", "b") == Remembered()
    assert recall(tmp_path / "shop.db", "a") == Remembered()
    forget(tmp_path / "kiosk.db", "a")
    assert recall(tmp_path / "kiosk.db", "a") == Remembered()
    forget(tmp_path / "kiosk.db", "a")


def test_state_is_private(tmp_path, folder):
    before = os.umask(0)
    try:
        remember(tmp_path / "kiosk.db", "a", STATE)
    finally:
        os.umask(before)
    (file,) = folder.iterdir()
    assert [stat.S_IMODE(one.stat().st_mode) for one in (folder, file)] == [0o700, 0o600]


def test_state_is_bounded(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(state, "_MOST_JOURNALS", 5)
    typed = tuple(f"seq={number}" for number in range(150))
    remember(tmp_path / "0.db", "a", Remembered(words=("x" * 501,), history=(*typed, "x" * 501)))
    assert recall(tmp_path / "0.db", "a") == Remembered(history=typed[-100:])
    os.utime(*folder.iterdir(), (1, 1))
    for number in range(1, 6):
        remember(tmp_path / f"{number}.db", "a", STATE)
    assert len(list(folder.iterdir())) == 5
    assert recall(tmp_path / "0.db", "a") == Remembered()  # the oldest


@pytest.mark.parametrize(
    "text", ["", "[", "[1]", '{"view": 1}', '{"words": "op"}', '{"history": [1]}', "[" * 9_999]
)
def test_foreign_state_is_none(tmp_path, folder, text):
    remember(tmp_path / "kiosk.db", "a", STATE)
    (file,) = folder.iterdir()
    file.write_text(text, encoding="utf-8")
    assert recall(tmp_path / "kiosk.db", "a") == Remembered()


def test_pipe_is_no_state(tmp_path, folder):
    remember(tmp_path / "kiosk.db", "a", STATE)
    (file,) = folder.iterdir()
    file.unlink()
    os.mkfifo(file)
    assert recall(tmp_path / "kiosk.db", "a") == Remembered()


@pytest.mark.parametrize("state_home", ["file", ""])
def test_unwritable_folder_is_no_error(tmp_path, monkeypatch, state_home):
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    monkeypatch.setenv("XDG_STATE_HOME", state_home and str(tmp_path / state_home))
    monkeypatch.setattr(Path, "home", nobody)
    remember(tmp_path / "kiosk.db", "a", STATE)
    forget(tmp_path / "kiosk.db", "a")
    assert recall(tmp_path / "kiosk.db", "a") == Remembered()
