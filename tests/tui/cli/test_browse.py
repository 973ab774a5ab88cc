"""`restante tui` as a command: what it refuses, what it does without a terminal, the pictures it saves."""

import re
import sqlite3
import stat
from contextlib import closing

import pytest

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
        (["--theme", "plaid"], "there is no 'plaid'"),
        (["--size", "wide"], "is not a size"),
        (["--keymap", "-"], "not JSON"),
        (["colour=red"], "no filter key"),
        (["--screenshot", "nowhere/screen.svg"], "there is no folder"),
    ],
)
def test_bad_options_are_refused(restante, journal, append, options, words):
    append(SET)
    ran = restante("tui", "-j", journal, "--screenshot", "screen.svg", *options, stdin="{")
    assert (ran.code, words in ran.err) == (2, True), ran.err
    assert not (restante.folder / "screen.svg").exists()


def test_malformed_account_is_refused(restante, journal, append):
    """Before anything is drawn; whoever only looks needs none."""
    append(SET)
    options = ("tui", "-j", journal, "--screenshot", "screen.svg")
    account = {"RESTANTE_QUERY_CREDENTIALS": "ops"}
    ran = restante(*options, "--write", environment=account)
    assert (ran.code, "must be user:secret[:project_id]" in ran.err) == (2, True)
    assert restante(*options, environment=account).code == 0


@pytest.mark.parametrize(
    ("keymap", "words"),
    [
        ('{"journal.retry": "not a key"}', "'not a key' is no key"),
        ('{"journal.retry": "ctrl+nokey"}', "'ctrl+nokey' is no key"),
        ('{"journal.retry": ""}', "no key is given"),
        ('{"journal.retry": "r,"}', "is no key"),
    ],
)
def test_bad_keymap_is_refused(restante, journal, append, keymap, words):
    append(SET)
    ran = restante("tui", "-j", journal, "--screenshot", "screen.svg", "--keymap", "-", stdin=keymap)
    assert (ran.code, words in ran.err) == (2, True), ran.err


def test_screenshot_is_saved(restante, journal, append):
    append(SET)
    ran = restante("tui", "-j", journal, "--screenshot", "screen.svg", "--size", "100x20")
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
