"""`compare` on the official SDK's `BufferedConsumer`: it names the increments that were delivered twice.

A flush of several batches of which a later one fails leaves all of them in the buffer, those delivered among them,
and the next flush sends them again. The app is told of one error, and of no increment.
"""

import contextlib
import json

import mixpanel

from simulator import DivergenceKind, compare
from simulator.service.server import Service

BATCH = 50  # the SDK sends no more in one request
CALLS = 120
TRIES = CALLS - BATCH + 1  # once its buffer is full, each call tries to send the first batch

# Asked for patience until all calls are made; then the first batch goes through, and the second does not.
OUTAGE = [{"at": at, "fault": "status", "code": 503} for at in range(1, TRIES + 1)]
FAILURE_AFTER_FIRST_BATCH = [*OUTAGE, {"at": TRIES + 2, "fault": "reset"}]


class Noting(mixpanel.BufferedConsumer):
    """The SDK's own, and what it was handed: the prediction."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.handed_over = []

    def send(self, endpoint, json_message, *credentials):
        self.handed_over.append(json.loads(json_message))
        super().send(endpoint, json_message, *credentials)


def run(profiles, faults):
    """An app that counts visits, and flushes in the end, up to three times: what it handed over, what arrived."""
    with Service(faults=faults) as service:
        consumer = Noting(people_url=f"{service.url}/engage", max_size=BATCH, request_timeout=20)
        sdk = mixpanel.Mixpanel("T", consumer)
        for number in range(CALLS):
            with contextlib.suppress(mixpanel.MixpanelException):
                sdk.people_increment(f"visitor-{number % profiles}", {"visits": 1})
        for _ in range(3):
            with contextlib.suppress(mixpanel.MixpanelException):
                consumer.flush()
        consumer._consumer._session.close()
        assert not consumer._buffers["people"]
        return consumer.handed_over, [received.message for received in service.messages("accepted")]


def test_repeated_increments_are_named():
    predicted, received = run(CALLS, FAILURE_AFTER_FIRST_BATCH)
    comparison = compare(predicted, received)
    assert (comparison.predicted, comparison.received) == (CALLS, CALLS + BATCH)
    assert comparison.agreeing == CALLS - BATCH
    assert [one.profile for one in comparison.divergences] == [f"visitor-{n}" for n in range(BATCH)]
    for number, one in enumerate(comparison.divergences, 1):
        assert (one.kind, one.place, one.missing, one.surplus) == (DivergenceKind.DUPLICATED, 2, 0, 1)
        for operation in (one.predicted, one.received, one.elsewhere):
            assert operation.message["$add"] == {"visits": 1}
            assert operation.message["$time"] == predicted[number - 1]["$time"]
        numbers = (one.predicted.number, one.elsewhere.number, one.received.number)
        assert numbers == (number, number, number + BATCH)


def test_increments_are_matched_by_time():
    predicted, received = run(1, FAILURE_AFTER_FIRST_BATCH)
    comparison = compare(predicted, received)
    (one,) = comparison.divergences
    assert (one.kind, one.place, one.missing, one.surplus) == (
        DivergenceKind.DUPLICATED,
        BATCH + 1,
        0,
        BATCH,
    )
    assert (one.predicted.number, one.elsewhere.number, one.received.number) == (1, 1, BATCH + 1)
    assert one.predicted.message["$time"] == predicted[0]["$time"]
    assert str(comparison).startswith("1 of 1 profile differs: 1 duplicated.")


def test_outage_makes_no_difference():
    comparison = compare(*run(7, OUTAGE))
    assert (comparison.agrees, comparison.agreeing, comparison.received) == (True, 7, CALLS)


def test_batch_with_lost_answer_is_named():
    comparison = compare(*run(CALLS, [{"at": 2, "fault": "ack_lost"}]))
    assert {one.kind for one in comparison.divergences} == {DivergenceKind.DUPLICATED}
    named = [one.predicted.number for one in comparison.divergences]
    assert named == list(range(BATCH + 1, 2 * BATCH + 1))
