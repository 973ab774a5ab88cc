"""Profiles read over HTTP, from services that answer oddly."""

import json

import pytest

from recorder.model.errors import ShippingError
from recorder.shipping.profiles import HttpProfiles
from tests.services import RawService, answer

ADA = {"$distinct_id": "ada", "$properties": {"visits": 1}}


def read(*answers):
    with RawService(*(answer(body=json.dumps(each).encode(), keep=False) for each in answers)) as service:
        shown = HttpProfiles(service.url, ("ops", "secret")).read(["ada", "bob"], ["visits"])
        return shown, len(service.requests)


def test_pages_end():
    """Also where the service repeats its page, or says no size of pages."""
    bob = {**ADA, "$distinct_id": "bob"}
    full = {"results": [ADA], "page_size": 1, "session_id": "1"}
    assert read(full, {**full, "results": [bob]}, {**full, "results": []})[0].keys() == {"ada", "bob"}
    assert read(full, full) == ({"ada": {"visits": 1}}, 2)
    assert read({"results": [ADA, bob], "page_size": 1_000})[1] == 1


@pytest.mark.parametrize(
    "odd",
    [
        [],
        {"error": "no"},
        {"results": None},
        {"results": ["ada"]},
        {"results": [{"$distinct_id": "ada"}]},
        {"results": [ADA], "page_size": 1},
        {"results": [ADA], "page_size": "1"},
    ],
)
def test_odd_answer_is_an_error(odd):
    with pytest.raises(ShippingError, match="answers something else than profiles"):
        read(odd)
