"""Jobs in threads: a refresh begins none anew, moving on stops them, and quitting waits for none."""

import threading
import time
from dataclasses import replace

from tests.tui.browser.harness import browsing, screen_text, settled
from tui.browser import gateway
from tui.browser.gateway import Gateway
from tui.browser.messages import ShowProfile
from tui.browser.pace import Pace
from tui.browser.views.journal import JournalView
from tui.browser.views.profiles import ProfilesView
from tui.browser.widgets import profile_pane, wait_line
from tui.browser.widgets.entry_detail import EntryDetail
from tui.browser.widgets.wait_line import WaitLine
from tui.browser.work import stopped
from tui.text.rows import Query


class Slow:
    """A job that ends when the test lets it, and counts how often it was begun."""

    def __init__(self, job):
        self._job = job
        self.begun = 0
        self.may_end = threading.Event()

    def __call__(self, *arguments):
        self.begun += 1
        assert self.may_end.wait(60)
        return self._job(*arguments)


async def until(pilot, condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "in vain waited for it"
        await pilot.pause(0.01)


async def test_refreshes_leave_an_effect_alone(kiosk, monkeypatch):
    """Also where the entry has moved on meanwhile; what it was worked out for is said."""
    slow = Slow(gateway.effect_of)
    monkeypatch.setattr(gateway, "effect_of", slow)
    async with browsing(kiosk) as pilot:
        detail = pilot.app.query_one(EntryDetail)
        pilot.app.simulate_key("enter")
        await until(pilot, lambda: slow.begun)
        for state in ("rejected", "discarded", "rejected"):
            kiosk.become(state, 40)
            pilot.app.view.refresh_view()
            await until(pilot, lambda state=state: detail.facts.entry.state == state)
            await until(pilot, lambda: all(timer._task.done() for timer in detail._timers))
            await pilot.pause()
        assert slow.begun == 1
        detail.REST = 60
        slow.may_end.set()
        await until(pilot, lambda: not detail.waits_for("effect"))
        await pilot.pause()
        assert any("as of ○ pending" in line for line in screen_text(pilot.app))


async def test_refreshes_leave_a_profile_alone(kiosk, monkeypatch):
    slow = Slow(profile_pane.standpoint)
    monkeypatch.setattr(profile_pane, "standpoint", slow)
    async with browsing(kiosk) as pilot:
        pane = pilot.app.query_one(ProfilesView).pane
        pilot.app.post_message(ShowProfile("ada@ex.org"))
        await until(pilot, lambda: slow.begun)
        before = len(pane.history)
        for n in range(1, 4):
            kiosk.record({"$distinct_id": "ada@ex.org", "$set": {"plan": f"plan {n}"}})
            pane.read()
            await until(pilot, lambda n=n: len(pane.history) == before + n)
        assert slow.begun == 1
        slow.may_end.set()
        await settled(pilot)
        assert slow.begun == 2
        assert any('"plan 3"' in line for line in screen_text(pilot.app))


async def test_another_question_stops_the_job(kiosk):
    ended, asked, shown = threading.Event(), threading.Event(), []

    def job():
        asked.set()
        while not stopped():
            pass
        ended.set()

    async with browsing(kiosk) as pilot:
        pilot.app.ask(job, shown.append, group="any", about=1)
        assert asked.wait(30)
        pilot.app.ask(lambda: "second", shown.append, group="any", about=2)
        assert ended.wait(30)
        await settled(pilot)
        assert shown == ["second"]


async def test_quitting_waits_for_no_read(kiosk):
    slow = Slow(lambda: None)
    async with browsing(kiosk) as pilot:
        pilot.app.ask(slow, lambda _: None, group="any")
        pilot.app.run_worker(pilot.app.answer(slow, words="Reading"))
        await until(pilot, lambda: slow.begun == 2)
        question = pilot.app._unanswered["any"]
        pilot.app.exit()
        assert question.stopped
    waiting = {thread.name: thread for thread in threading.enumerate()}
    assert waiting["restante-any"].daemon
    assert waiting["restante-answer"].daemon
    slow.may_end.set()
    assert question.ending  # it ends with the process, and frees nothing before


async def test_stopped_weighing_asks_nothing(kiosk, monkeypatch):
    monkeypatch.setattr(wait_line, "_SOON", 0.0)
    async with browsing(kiosk, write=True) as pilot:
        slow = Slow(pilot.app.changes.actions.weigh)
        monkeypatch.setattr(pilot.app.changes.actions, "weigh", slow)
        pilot.app.simulate_key("R")
        await until(pilot, lambda: slow.begun)
        line = pilot.app.query_one(WaitLine)
        line.look()
        assert line.text == " Weighing the decision … esc stops it"
        pilot.app.simulate_key("escape")
        await settled(pilot)
        slow.may_end.set()
        await settled(pilot)
        assert len(pilot.app.screen_stack) == 1


async def test_long_jobs_are_named_and_stopped(kiosk, monkeypatch):
    """A search, an effect and a profile: escape gives each up, and the next escape closes what is open."""
    monkeypatch.setattr(wait_line, "_SOON", 0.0)
    jobs = [
        (Gateway, "newest", "Searching", lambda app: app.query_one(JournalView).show(Query.of(["ada"]))),
        (gateway, "effect_of", "Working out the effect", lambda app: app.simulate_key("enter")),
        (profile_pane, "standpoint", "Working out the profile", lambda app: app.simulate_key("p")),
    ]
    async with browsing(kiosk) as pilot:
        line = pilot.app.query_one(WaitLine)
        for owner, name, words, begin in jobs:
            slow = Slow(getattr(owner, name))
            with monkeypatch.context() as patch:
                patch.setattr(owner, name, lambda *given, slow=slow: slow(*given))
                begin(pilot.app)
                await until(pilot, lambda slow=slow: slow.begun)
                line.look()
                assert line.text == f" {words} … esc stops it"
                pilot.app.simulate_key("escape")
                await until(pilot, lambda: not line.waits)
            slow.may_end.set()
            await settled(pilot)
        assert pilot.app.query_one(ProfilesView).pane.opened is None
        assert pilot.app.query_one(JournalView).place[0] == Query()
        assert pilot.app.query_one(EntryDetail)._effect.lines == ("not worked out: it was stopped",)


async def test_escape_after_the_wait_closes(kiosk):
    """The line may name a job that has just ended: there is nothing to stop, and the key means what it always does."""
    async with browsing(kiosk, words=["ada"]) as pilot:
        pilot.app.query_one(WaitLine).say(" Searching … esc stops it")
        pilot.app.simulate_key("escape")
        await settled(pilot)
        assert pilot.app.query_one(JournalView).place[0] == Query()


async def test_long_reads_are_repeated_seldom(kiosk, monkeypatch):
    """A filter that few of a million entries match would else be looked for without end."""
    seconds, read = [0], []

    def newest(gateway, *given, newest=Gateway.newest):
        read.append(seconds[0])
        seconds[0] += 2
        return newest(gateway, *given)

    monkeypatch.setattr(Gateway, "newest", newest)
    async with browsing(kiosk, words=["ada"]) as pilot:
        view = pilot.app.query_one(JournalView)
        view.table.pace = Pace(lambda: seconds[0])
        view.show(Query.of(["ada"]))
        await settled(pilot)
        read.clear()

        async def refresh_after(wait):
            seconds[0] += wait
            view.refresh_view()
            await settled(pilot)
            return len(read)

        assert [await refresh_after(wait) for wait in (0, 1, 18, 1, 1)] == [1, 1, 1, 2, 2]
        view.take_change()
        assert await refresh_after(0) == 3


def test_reset_outlasts_a_running_read():
    """The thread that looks for the filter before ends after the person has typed another one."""
    seconds = [0.0]
    pace = Pace(lambda: seconds[0])

    def read():
        seconds[0] += 5
        pace.reset()

    pace.timed(read)
    assert pace.due


async def test_loaded_matches_are_not_counted(kiosk, monkeypatch):
    """A search that loads all matches has looked through the whole journal already."""
    counted = []
    monkeypatch.setattr(Gateway, "tally", lambda _, query, __: counted.append(query.words) or 40)
    async with browsing(kiosk) as pilot:
        view = pilot.app.query_one(JournalView)
        for word, number in (("ada", 10), ("nowhere", 0)):
            view.show(Query.of([word]))
            await settled(pilot)
            assert view._total == number
        view.table.window = replace(view.table.window, at_oldest=False)
        view.on_entry_table_changed()
        await settled(pilot)
        assert counted == [("nowhere",)]


async def test_closed_browser_names_no_job(kiosk):
    """A timer may tick once more while the app ends."""
    async with browsing(kiosk) as pilot:
        line = pilot.app.query_one(WaitLine)
        await line.remove()
        line.look()
        assert not line.waits
