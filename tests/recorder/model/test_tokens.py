"""Project tokens: what cannot be one is refused wherever it is given."""

import json

import pytest

from recorder import InvalidOperation, Journal, JournalConsumer, Recorder, WrongToken
from recorder.model.intake import Intake
from recorder.model.tokens import check_token

NO_TOKENS = [
    "abc123\n", "\nabc123", "abc123\r\n", " abc123", "abc123\t", "  ", "abc\n3", "abc\x003", "abc\x7f", "abc\u200b",
    "\ufeffabc", "abc\xa0", "\u201cabc\u201d", '"abc123"', "'abc123'", "`abc`", "abc123,", "abc\\n", "<token>",
    "{token}", "$TOKEN", "abc****", "YOUR_PROJECT_TOKEN", "your-token", "None", "undefined", "\uff41\uff42", "\ud800",
    "", None, 123, b"abc123",
]  # fmt: skip


@pytest.mark.parametrize("token", ["T", "PROJECT", "3a1c0d4be52b4ab4b9a8c6d1a1f0e2d7", "project-token_2.eu"])
def test_token_may_be_plain(token):
    check_token(token)


@pytest.mark.parametrize("token", NO_TOKENS, ids=ascii)
def test_refused_token_leaves_no_file(tmp_path, token):
    """The sentence says what is wrong, the hint what to do, and no journal is made."""
    path = tmp_path / "kiosk.db"
    with pytest.raises(WrongToken, match="token") as caught:
        Recorder(token, path)
    assert "settings" in caught.value.hint
    if token is not None:
        for make in (Journal, JournalConsumer):
            with pytest.raises(WrongToken):
                make(path, token=token)
    assert list(tmp_path.iterdir()) == []


def test_bound_journal_refuses_bad_token(tmp_path):
    with Journal(tmp_path / "kiosk.db", token="T") as journal:
        for refuse in (journal.bind, journal.change_token):
            with pytest.raises(WrongToken, match="a line break"):
                refuse("T\n")
        assert journal.token == "T"


@pytest.mark.parametrize("lane", ["people", "events"])
def test_messages_own_token_is_checked(tmp_path, lane):
    """Without a token of its own, a consumer takes the first message's; it says what is wrong with it."""
    message = {"$distinct_id": "ada", "$set": {}, "$token": "T\n"}
    if lane == "events":
        message = {"event": "e", "properties": {"token": "T\n"}}
    with JournalConsumer(tmp_path / "kiosk.db") as consumer:
        for _ in range(2):
            with pytest.raises(WrongToken, match="a line break"):
                consumer.send(lane, json.dumps(message))
        assert consumer.journal.token is None


def test_update_with_bad_token_says_so():
    with pytest.raises(WrongToken, match="a space"):
        Intake("T").update({"$distinct_id": "ada", "$set": {}, "$token": " T"}, 1.0)
    (row,) = Intake("T", "reject").update({"$distinct_id": "ada", "$set": {}, "$token": " T"}, 1.0)
    assert "a space" in row.reason
    with pytest.raises((InvalidOperation, WrongToken)):
        Intake("T").update({"$distinct_id": "ada", "$set": {}, "$token": 5}, 1.0)
