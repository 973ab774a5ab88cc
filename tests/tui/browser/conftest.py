"""Journals, golden screens, and tests that are coroutines."""

import asyncio
import inspect
import os
import re
import shutil

import pytest

from tests.tui.browser.harness import GOLDEN, NOW, REWRITE, Stage, screen_text


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """A browser runs in an event loop: each test that is a coroutine gets one of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture
def golden():
    """Hold a screen against its file, or rewrite it."""

    def hold(app, name):
        # The size of the file is SQLite's affair; the ends of a scroll bar move while rows are still being counted.
        lines = [re.sub(r"(kiosk\.db|journal) [\d.]+ k?B", r"\1 # kB", line) for line in screen_text(app)]
        lines = [re.sub(r" +[▁▂▃▄▅▆▇]$", "", line) for line in lines]
        width, height = app.size
        file = GOLDEN / f"{name}.{width}x{height}.txt"
        text = "\n".join(lines) + "\n"
        if os.environ.get(REWRITE):
            file.write_text(text, encoding="utf-8")
        assert file.exists(), f"there is no {file.name}; {REWRITE}=1 makes it, to be looked at"
        assert text.splitlines() == file.read_text(encoding="utf-8").splitlines()

    return hold


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path / "kiosk.db")


@pytest.fixture
def kiosk(kiosk_file, stage):
    """A journal as `kiosk_file` has it, for one test to change."""
    shutil.copy(kiosk_file, stage.path)
    return stage


@pytest.fixture(scope="session")
def kiosk_file(tmp_path_factory):
    """Forty entries: shipped, rejected, in doubt, waiting behind that, discarded, pending."""
    stage = Stage(tmp_path_factory.mktemp("kiosk") / "kiosk.db")
    people = ("ada@ex.org", "u-1042", "zoë", "名前-7")
    verbs = (
        lambda n: {"$set": {"plan": "pro", "n": n}},
        lambda n: {"$add": {"credits": n}},
        lambda n: {"$union": {"tags": ["a", f"t{n}"]}},
        lambda n: {"$unset": ["trial"]} if n else {},
        lambda n: {"$append": {"seen": f"kiosk {n}"}},
    )
    stage.record(
        *({"$distinct_id": people[n % 4], **verbs[n % 5](n)} for n in range(1, 41)), ago=12.0, step=97.0
    )
    first = stage.attempt(1, 11, "shipped", ago=1900.0)
    stage.become("shipped", *range(1, 12), attempt=first, sends=1)
    refused = stage.attempt(12, 12, "refused", '$union: value is not "a list"', 400, ago=1800.0)
    stage.become("rejected", 12, attempt=refused, reason='$union: value is not "a list"')
    second = stage.attempt(13, 16, "shipped", ago=1700.0)
    stage.become("shipped", *range(13, 17), attempt=second, sends=1)
    doubt = stage.attempt(17, 17, "unknown", "timed out after sending", ago=700.0)
    stage.become("in_doubt", 17, attempt=doubt, sends=1, hazardous=1)
    stage.become("discarded", 18, reason="discarded by a person")
    stage.become("waiting", 21, 25)
    stage.become("rejected", 23, reason="$unset: an empty name")
    rest = stage.attempt(19, 30, "shipped", ago=200.0)
    stage.become("shipped", *(n for n in range(19, 31) if n not in {21, 23, 25}), attempt=rest, sends=1)
    stage.change("UPDATE lanes SET cursor = 30 WHERE lane = 'people'")
    stage.change(
        "INSERT INTO waits (lane, profile, cause, behind, boot, at, span) "
        "VALUES ('people', 'u-1042', 'hold', 17, '', 0, 0)"
    )
    stage.change("UPDATE shipper SET pid = 2, seen_at = ?, in_doubt = 'hold'", NOW - 60)
    return stage.path
