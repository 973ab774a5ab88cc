"""`restante tui` as a command: what it refuses, what it does without a terminal, the pictures it saves."""

import re
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from unittest import mock

import pytest

from recorder import JournalReader
from tui import state
from tui.browser.app import Browser
from tui.cli import browse
from tui.state import Remembered


@pytest.fixture
def config(restante):
    file = restante.folder / ".config" / "restante" / "config.toml"
    file.parent.mkdir(parents=True)
    return file


SET = {"$distinct_id": "ada", "$set": {"plan": "pro"}}


def test_missing_journal_is_refused(restante, journal):
    ran = restante("tui", "-j", journal)
    assert (ran.code, ran.out) == (2, "")
    assert "there is no journal" in ran.err
    assert not journal.exists()


def test_foreign_file_is_refused(restante, journal):
    journal.write_text("a letter", encoding="utf-8")
    ran = restante("tui", "-j", journal)
    assert (ran.code, "is not a journal" in ran.err) == (2, True)
    assert journal.read_text(encoding="utf-8") == "a letter"


def test_newer_journal_is_refused(restante, journal, append):
    append(SET)
    with closing(sqlite3.connect(journal)) as connection:
        connection.execute("PRAGMA user_version = 99")
    ran = restante("tui", "-j", journal)
    assert (ran.code, "newer restante" in ran.err) == (2, True)


def test_without_a_terminal_it_is_status(restante, journal, append):
    append(SET)
    ran = restante("tui", "-j", journal)
    assert ran.code == restante("status", "-j", journal).code == 0
    assert "recorded 1 = pending 1" in ran.out
    assert "no terminal" in ran.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--size", "wide"], "is not a size"),
        (["colour=red"], "not a filter key"),
        (["--screenshot", "nowhere/screen.svg"], "there is no folder"),
    ],
)
def test_bad_options_are_refused(restante, journal, append, options, words):
    append(SET)
    ran = restante("tui", "-j", journal, "--screenshot", "screen.svg", *options)
    assert (ran.code, words in ran.err) == (2, True), ran.err
    assert not (restante.folder / "screen.svg").exists()


def test_malformed_account_is_refused(restante, journal, append):
    """Before anything is drawn."""
    append(SET)
    options = ("tui", "-j", journal, "--screenshot", "screen.svg")
    account = {"RESTANTE_QUERY_CREDENTIALS": "ops"}
    ran = restante(*options, "--write", environment=account)
    assert (ran.code, "to user:secret[:project_id]" in ran.err) == (2, True)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ('theme = "plaid"', "there is no theme 'plaid'"),
        ('keys."journal.retry" = "not a key"', "'not a key' is not a key"),
        ('keys."journal.retry" = "ctrl+nokey"', "'ctrl+nokey' is not a key"),
        ('keys."journal.retry" = ""', "no key is given"),
        ('keys."journal.retry" = "r,"', "is not a key"),
        ('keys."journal.dance" = "d"', "'journal.dance' is not a key id"),
        ("keys = 1", "must be lines such as"),
    ],
)
def test_bad_config_is_refused(*, restante, journal, append, config, written, words):
    append(SET)
    config.write_text(written, encoding="utf-8")
    ran = restante("tui", "-j", journal, "--screenshot", "screen.svg")
    assert (ran.code, words in ran.err, str(config) in ran.err) == (2, True, True), ran.err


def test_config_changes_the_browser(restante, journal, append, config):
    append(SET)
    config.write_text('theme = "textual-light"\nkeys."journal.filter" = "f8"', encoding="utf-8")
    assert restante("tui", "-j", journal, "--view", "journal", "--screenshot", "screen.svg").code == 0
    picture = (restante.folder / "screen.svg").read_text(encoding="utf-8")
    assert "f8" in picture
    assert "#e0e0e0" in picture  # the background of that theme


@pytest.mark.parametrize("remember", ["true", "false"])
def test_browser_begins_where_it_ended(*, restante, journal, append, config, monkeypatch, remember):
    """Unless it was told not to remember, or a profile was forgotten meanwhile."""
    append(SET)
    config.write_text(f"remember = {remember}", encoding="utf-8")
    begun = []

    def run(app):
        begun.append((app._place.view, app._place.query.expression))
        app.remembered = replace(app.remembered, view="shipping", words=("state=rejected", "op=add"))

    monkeypatch.setattr(browse, "_has_terminal", lambda: True)
    monkeypatch.setattr(Browser, "run", run)
    for _ in range(2):
        assert restante("tui", "-j", journal).code == 0
    known = remember == "true"
    assert begun[1] == (("shipping", ("state=rejected", "op=add")) if known else begun[0])
    restante("tui", "-j", journal, "op=set")
    assert begun[2] == ("journal", ("op=set",))
    with JournalReader(journal) as reader, mock.patch.dict("os.environ", HOME=str(restante.folder)):
        state.remember(
            journal, reader.identity(), Remembered("garden", ("colour=red",))
        )  # of another version
    restante("tui", "-j", journal)
    assert begun[3] == ("home", ())
    monkeypatch.setattr(Browser, "run", lambda app: setattr(app, "remembered", None))
    restante("tui", "-j", journal)
    assert list(restante.folder.glob(".local/state/restante/*")) == []


def test_damage_hides_no_screen(restante, journal, append):
    append(SET)
    with closing(sqlite3.connect(journal)) as connection, connection:
        connection.execute("DELETE FROM shipper")
    options = ("--url", "http://127.0.0.1:1", "--screenshot", "screen.svg")
    assert restante("tui", "-j", journal, *options).code == 0
    assert "damaged" in (restante.folder / "screen.svg").read_text(encoding="utf-8")


def test_screenshot_is_saved(restante, journal, append):
    """Whoever only looks needs no account."""
    append(SET)
    account = {"RESTANTE_QUERY_CREDENTIALS": "ops"}
    ran = restante(
        "tui", "-j", journal, "--screenshot", "screen.svg", "--size", "100x20", environment=account
    )
    assert (ran.code, ran.out, ran.err) == (0, "", "Saved screen.svg.\n")
    file = restante.folder / "screen.svg"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    picture = file.read_text(encoding="utf-8")
    assert picture.startswith("<svg")
    assert "pending" in picture


def test_no_color_removes_colours_only(restante, journal, append):
    append(SET)
    for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        ran = restante("tui", "-j", journal, "--screenshot", "screen.svg", environment=environment)
        assert ran.code == 0, ran.err
        picture = (restante.folder / "screen.svg").read_text(encoding="utf-8")
        fills = set(re.findall(r"fill: #([0-9a-f]{6})", picture))
        fills -= {"c5c8c6"}  # the picture's own
        greys = {fill for fill in fills if fill[:2] == fill[2:4] == fill[4:]}
        assert bool(fills - greys) is coloured, fills
