"""The forms of an answer: a digit, JSON, an image, a script."""

import json

import pytest

from tests.simulator.service.senders import TIMEOUT, update

GOOD = update()
BAD = {"$set": {}}
NAME = "mixpanel._jsc[12345]"
REASON = "$token, missing or empty"


@pytest.mark.parametrize(
    ("query", "message", "expected"),
    [
        ("", GOOD, ("text/plain", "1")),
        ("", BAD, ("text/plain", "0")),
        ("verbose=1", GOOD, ("application/json", '{"status": 1, "error": null}')),
        ("verbose=1", BAD, ("application/json", json.dumps({"status": 0, "error": REASON}))),
        ("callback=f", GOOD, ("text/javascript", "f(1);")),
        ("callback=f", BAD, ("text/javascript", "f(0);")),
        ("callback=", GOOD, ("text/plain", "1")),
        (
            f"callback={NAME}&img=1&verbose=1",
            GOOD,
            ("text/javascript", NAME + '({"status": 1, "error": null});'),
        ),
        ("callback=(function(){})", GOOD, ("text/javascript", "(function(){})(1);")),
    ],
)
def test_answer_has_the_form_asked_for(service, http, query, message, expected):
    asked = {"data": json.dumps(message)}
    answer = http.get(f"{service.url}/engage?{query}", params=asked, timeout=TIMEOUT)
    posted = http.post(f"{service.url}/engage?{query}", data=asked, timeout=TIMEOUT)
    assert posted.content == answer.content
    assert (answer.headers["Content-Type"].partition(";")[0], answer.text) == expected
    assert answer.status_code == 200


@pytest.mark.parametrize("message", [GOOD, BAD])
def test_image_is_a_pixel(service, http, message):
    answer = http.get(
        service.url + "/engage", params={"data": json.dumps(message), "img": 1}, timeout=TIMEOUT
    )
    assert answer.headers["Content-Type"] == "image/gif"
    assert answer.content[:10] == b"GIF89a\x01\x00\x01\x00"
    assert answer.content[-1:] == b";"
    assert len(service.messages()) == 1


@pytest.mark.parametrize(
    "name", ["alert(1)//", "f\n", "f;g", "f[g]", "<script>", "é", "a b", 'f["x"]', "f" * 200]
)
@pytest.mark.parametrize("path", ["/engage", "/track"])
def test_callback_must_be_a_name(service, http, name, path):
    """The page that asks runs what stands there."""
    params = {"data": json.dumps(GOOD), "callback": name}
    answer = http.get(service.url + path, params=params, timeout=TIMEOUT)
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/json")
    assert answer.json()["error"].startswith("callback, must be a function's name")
    assert service.messages() == []


def test_script_holds_no_text_of_the_sender(service, http):
    """Text goes through JSON, in ASCII: no line separator of JavaScript's, and no end of a string."""
    message = update(operator="$unset", payload="\u2028\"');alert(1)//")
    answer = http.get(
        service.url + "/engage",
        params={"data": json.dumps([message, 5]), "callback": "f", "verbose": "1"},
        timeout=TIMEOUT,
    )
    assert json.loads(answer.text.removeprefix("f(").removesuffix(");"))["status"] == 0
