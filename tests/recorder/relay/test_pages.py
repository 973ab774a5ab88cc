"""Web pages: those that may send read the answer, and all others are refused."""

import json

import pytest

from recorder.relay.pages import Pages
from tests.recorder.relay.conftest import Running
from tests.recorder.relay.test_taking import SET

PAGE = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def open_to_page(tmp_path_factory):
    with Running(tmp_path_factory.mktemp("pages") / "site.db", origins=[PAGE]) as running:
        yield running


def test_page_that_may_send_reads_answer(open_to_page):
    answer = open_to_page.ask("/engage", SET, Origin=PAGE)
    assert (answer.status, answer.text) == (200, "1")
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert answer.headers["Vary"] == "Origin"


def test_preflight_permits_what_is_asked(open_to_page):
    asked = {"Access_Control_Request_Headers": "x-mp", "Access_Control_Request_Private_Network": "true"}
    answer = open_to_page.ask("/track/", method="OPTIONS", Origin=PAGE, **asked)
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Headers"] == "x-mp"
    assert answer.headers["Access-Control-Allow-Private-Network"] == "true"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]


def test_page_reads_refusals_too(open_to_page):
    answer = open_to_page.ask("/import", b" " * (10 * 1024 * 1024 + 1), Origin=PAGE)
    assert answer.status == 413
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": PAGE + ".evil.example"},
        {"Origin": f"{PAGE}, {PAGE}"},
        {"Referer": "https://evil.example/127.0.0.1:8000"},
        {"Sec_Fetch_Site": "cross-site"},  # an image, which has no Origin
        {"Host": "evil.example"},
        {"Host": "evil.example:8766"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "evil.example@127.0.0.1"},
        {"Host": "192.168.7.2"},
        {"Host": ""},
    ],
    ids=str,
)
def test_stranger_is_refused(open_to_page, headers):
    before = len(open_to_page.entries())
    for path, body in (("/engage", SET), ("/health", None), ("/metrics", None)):
        answer = open_to_page.ask(path, body, **headers)
        assert answer.status == 403, path
        assert json.loads(answer.text)["status"] == 0
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert len(open_to_page.entries()) == before


@pytest.mark.parametrize("host", ["LOCALHOST:1", "127.0.0.1", "[::1]:8766", "127.1.2.3:80"])
def test_names_of_this_computer_are_its_own(open_to_page, host):
    assert open_to_page.ask("/health", Host=host).status == 200


def test_target_in_absolute_form_names_host():
    pages = Pages([], None)
    environ = {"HTTP_HOST": "127.0.0.1", "REQUEST_URI": "http://localhost:8766/engage"}
    assert pages.refusal(environ) is None
    for target in ("http://evil.example/engage", "http://[", "*", "evil"):
        assert pages.refusal(environ | {"REQUEST_URI": target}) is not None


def test_others_computer_is_known_by_address():
    pages = Pages([], "::")
    for host, refused in (("192.168.7.2:8766", False), ("relay", False), ("evil.example", True)):
        assert (pages.refusal({"HTTP_HOST": host, "REQUEST_URI": "/"}) is not None) == refused


@pytest.mark.parametrize("origin", ["null", "*", "kiosk.local", "http://kiosk.local/", "http://a b"])
def test_what_is_no_origin_is_refused(origin):
    with pytest.raises(ValueError, match="not an origin"):
        Pages([origin], None)
