"""The question about what is in doubt offers to settle it, by the profiles of a service on sockets."""

from threading import Event

import pytest

from recorder import HttpTransport, Journal, JournalReader, Recorder, Shipper, ShippingPolicy
from simulator.service import Service
from tests.tui.browser.harness import browsing, press, settled, text_of
from tests.tui.browser.test_browsing import said
from tui.browser.actions import Actions
from tui.browser.gateway import Gateway
from tui.browser.screens.confirm import ConfirmScreen

ACCOUNT = ("ops", "s3cr3t", "7")
OFFERED = "were counted: settle reads from the profiles"


@pytest.fixture
def doubtful(stage):
    """Make a journal of which a request of three adds is in doubt at a service; it applied the first ones."""

    def make(service, applied=2, *, counted=True):
        service.set_faults([{"at": 1, "fault": "part", "updates": applied}])
        policy = ShippingPolicy(in_doubt="hold", counted=counted, settle_after=0)
        with Journal(stage.path, token="T") as journal, Recorder("T", journal) as recorder:
            for profile in ("ada", "ada", "bob"):
                recorder.people_increment(profile, {"visits": 1})
            transport = HttpTransport(url=service.url)
            shipper = Shipper(journal, transport, policy)
            assert shipper.ship().in_doubt == 3
            shipper.ship()
            transport.close()
        return stage

    return make


def states(stage):
    with JournalReader(stage.path) as reader:
        return [entry.state.value for entry in reversed(reader.entries())]


def flat(pilot):
    return " ".join(text_of(pilot).replace("│", " ").split())


def test_browser_ships_as_before(doubtful):
    """A shipper that did not count would leave the next one of the app not counting, too."""
    with Service() as service:
        path = doubtful(service).path
        with Gateway(path, write=True, transport=lambda: HttpTransport(url=service.url)) as gateway:
            Actions(gateway).ship(lambda _: None, Event())
    with JournalReader(path) as reader:
        last = reader.shipping()
    assert (last.in_doubt, last.counted, last.settle_after) == ("hold", True, 0)


async def test_question_settles_by_the_profiles(doubtful):
    with Service(credentials=ACCOUNT[:2]) as service:
        stage = doubtful(service)
        async with browsing(stage, (130, 36), write=True, account=ACCOUNT) as pilot:
            await press(pilot, "m", "m", "m", "R")
            assert f"3 {OFFERED} what was applied, of all that is in doubt." in flat(pilot)
            assert "S settle" in flat(pilot)
            await press(pilot, "S")
            await settled(pilot, lambda: len(pilot.app.screen_stack) == 1)
            assert said(pilot) == ["Settled 2 profiles: all was applied in 1, nothing in 1, a part in 0."]
            await press(pilot, "g")
            assert "read back: not applied, sent again" in flat(pilot)
            await press(pilot, "j")
            assert "read back from the profile: applied" in flat(pilot)
    assert states(stage) == ["shipped", "shipped", "waiting"]


@pytest.mark.long
async def test_failure_of_shipping_can_be_settled(doubtful):
    with Service() as service:
        async with browsing(doubtful(service), write=True, account=ACCOUNT) as pilot:
            await press(pilot, "3", "R", "S")
            await settled(pilot, lambda: len(pilot.app.screen_stack) == 1)
            assert said(pilot) == ["Settled 2 profiles: all was applied in 1, nothing in 1, a part in 0."]


@pytest.mark.parametrize(
    ("options", "waits"),
    [
        ({"read_lag": 3_600}, "2 profiles may be shown as before the request; reading again in 10 s."),
        pytest.param(
            {"queries_an_hour": 0},
            "The service answers no more queries for now; reading again in 1 h.",
            marks=pytest.mark.long,
        ),
    ],
    ids=["old", "limit"],
)
async def test_wait_is_told_and_cancelled(doubtful, options, waits):
    """At once, however long it would be."""
    with Service(**options) as service:
        stage = doubtful(service)
        async with browsing(stage, write=True, account=ACCOUNT) as pilot:
            await press(pilot, "m", "m", "m", "D", "S")
            await settled(pilot, lambda: waits in flat(pilot))
            await press(pilot, "escape")
            await settled(pilot, lambda: len(pilot.app.screen_stack) == 1)
            assert said(pilot)[0].startswith("Settled 0 profiles")
            assert not pilot.app.changes.sending
    assert states(stage) == ["in_doubt"] * 3


@pytest.mark.long
async def test_refused_account_is_told(doubtful):
    with Service(credentials=("ops", "other")) as service:
        stage = doubtful(service)
        async with browsing(stage, write=True, account=ACCOUNT) as pilot:
            await press(pilot, "R", "S")
            await settled(pilot, lambda: len(pilot.app.screen_stack) == 1)
            (words,) = said(pilot)
    assert "answers 401. RESTANTE_QUERY_CREDENTIALS=user:secret:project_id must be" in words
    assert "s3cr3t" not in words
    assert states(stage) == ["in_doubt"] * 3


@pytest.mark.parametrize("counted", [True, pytest.param(False, marks=pytest.mark.long)])
async def test_settling_is_offered_if_possible(doubtful, counted):
    """Without an account the question says how to get one; of what was not counted it says nothing."""
    with Service() as service:
        stage = doubtful(service, counted=counted)
    async with browsing(stage, write=True, account=None if counted else ACCOUNT) as pilot:
        await press(pilot, "R")
        assert (" Set RESTANTE_QUERY_CREDENTIALS to settle by the profiles." in text_of(pilot)) == counted
        assert "S settle" not in text_of(pilot)
        await press(pilot, "S")
        assert isinstance(pilot.app.screen, ConfirmScreen)
