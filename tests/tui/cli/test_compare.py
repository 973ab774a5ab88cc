"""`restante compare`: the journal against what a local service received, under faults and with strangers."""

import json
import unicodedata

import pytest
import requests

from recorder import HttpTransport, Journal, Shipper, ShippingPolicy
from recorder.model.entries import NewEntry
from tests.services import RawService, answer, said_0

UPDATES = [
    {"$distinct_id": "ada", "$add": {"visits": 1}, "$time": 1.5},
    {"$distinct_id": "ada", "$add": {"visits": 1}, "$time": 2.5},
    {"$distinct_id": "bob", "$set": {"plan": "pro"}, "$time": 3.5},
    {"$group_key": "company", "$group_id": "acme", "$set": {"plan": "pro"}, "$time": 4.5},
]
KEYS = [
    "agrees",
    "agreeing",
    "predicted",
    "received",
    "to_send",
    "arrived_early",
    "pruned",
    "malformed_predicted",
    "malformed_received",
    "divergences",
    "lost_events",
]
OF_A_DIVERGENCE = [
    "kind",
    "profile",
    "group_key",
    "place",
    "predicted",
    "received",
    "elsewhere",
    "alike",
    "missing",
    "surplus",
    "harmless",
    "given_up",
]


@pytest.fixture
def recorded(append, journal):
    append(*UPDATES)
    return journal


@pytest.fixture
def ship(restante, journal, service):
    def run(*options):
        return restante("ship", "-j", journal, "--url", service.url, *options)

    return run


@pytest.fixture
def compared(restante, journal, service):
    def run(*options, url=None, **more):
        return restante("compare", "-j", journal, "--url", url or service.url, *options, **more)

    return run


def send(service, *messages, endpoint="engage", token="T"):
    body = [{"$token": token, **message} for message in messages]
    assert requests.post(f"{service.url}/{endpoint}", json=body, timeout=20).text == "1"


# --- agreeing


@pytest.mark.usefixtures("recorded")
def test_shipped_entries_agree(ship, compared):
    assert ship().code == 0
    ran = compared()
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "3 profiles: all agree. Predicted 4 operations, received 4.\n"


@pytest.mark.usefixtures("recorded")
def test_unsent_entries_do_not_diverge(ship, compared):
    ship("--limit", 1)
    ran = compared()
    assert (ran.code, ran.out) == (
        0,
        "1 profile: all agree. Predicted 1 operation, received 1. 3 still to be sent.\n",
    )


def test_empty_journal_agrees(journal, compared):
    Journal(journal, token="T").close()
    assert compared().code == 0


@pytest.mark.usefixtures("recorded")
def test_pruned_entries_do_not_diverge(restante, ship, compared, journal, append):
    ship()
    append({"$distinct_id": "ada", "$add": {"visits": 7}, "$time": 5.5})
    assert restante("prune", "-j", journal, "--all-shipped").code == 0
    assert compared().code == 0
    ship()
    ran = compared("--json")
    assert (ran.code, ran.json["pruned"], ran.json["predicted"]) == (0, 4, 1)
    assert "4 from before the journal's kept entries are not compared" in compared().out


def test_divergence_is_found_after_pruning(  # noqa: PLR0917
    restante, ship, compared, recorded, append, service
):
    ship()
    append({"$distinct_id": "ada", "$set": {"plan": "pro"}, "$time": 5.5})
    restante("prune", "-j", recorded, "--all-shipped")
    ship()
    send(service, {"$distinct_id": "ada", "$set": {"plan": "basic"}, "$time": 6.5})
    ran = compared("--json")
    assert (ran.code, [one["kind"] for one in ran.json["divergences"]]) == (1, ["unexpected"])
    assert ran.json["divergences"][0]["harmless"] is False


@pytest.mark.usefixtures("recorded")
def test_json_has_the_documented_keys(ship, compared, service):
    ship()
    ran = compared("--json")
    assert (ran.code, ran.err) == (0, "")
    assert list(ran.json) == KEYS
    assert ran.json["divergences"] == []
    send(service, UPDATES[2])
    ran = compared("--json")
    (one,) = ran.json["divergences"]
    assert list(one) == OF_A_DIVERGENCE
    assert one["predicted"] == {
        "seq": 3,
        "state": "shipped",
        "possibly_twice": False,
        "operator": "$set",
        "message": {"$set": {"plan": "pro"}, "$time": 3.5},
    }
    assert one["received"] == {
        "number": 5,
        "operator": "$set",
        "message": {"$set": {"plan": "pro"}, "$time": 3.5},
    }


@pytest.mark.usefixtures("recorded")
def test_other_messages_are_not_compared(ship, compared, service):
    ship()
    send(service, *UPDATES[:3], token="OTHER")
    event = {"event": "opened", "properties": {"token": "T"}}
    assert requests.post(f"{service.url}/track", json=[event], timeout=20).text == "1"
    assert compared().out == "3 profiles: all agree. Predicted 4 operations, received 4.\n"
    ran = compared("--token", "NOBODY")
    assert (ran.code, ran.out.splitlines()[0]) == (
        1,
        "3 of 3 profiles differ: 3 lost. Predicted 4 operations, received 0.",
    )


def test_lost_events_are_shown(journal, ship, compared):
    """With the service's reason where it has one; events that are not known by an id are not looked for."""
    events = [
        {"event": "opened", "properties": {"token": "T", "distinct_id": "ada", "$insert_id": known}}
        for known in ("a", "b", "c", "")
    ]
    with Journal(journal, token="T") as opened:
        opened.append([NewEntry("events", None, "ada", None, json.dumps(event), 1.0) for event in events])
    ship()
    ran = compared("--json")
    assert (ran.code, ran.json["agrees"], ran.json["lost_events"]) == (0, True, [])
    held = [
        {"endpoint": "/track", "message": events[0], "verdict": "rejected", "reason": "too old"},
        {"endpoint": "/import", "message": events[0], "verdict": "accepted", "reason": None},
        {"endpoint": "/track", "message": events[1], "verdict": "rejected", "reason": "too \x1b old"},
        {"endpoint": "/engage", "message": events[2], "verdict": "accepted", "reason": None},
    ]
    said = [answer(200, b"[]"), answer(200, json.dumps(held).encode())]
    with RawService(*said, *said) as other:
        ran = compared(url=other.url)
        assert ran.code == 1
        assert ran.out.endswith("\n2 shipped events lost:\n  #2: too \\x1b old\n  #3: it is not there\n")
        ran = compared("--json", "--limit", 1, url=other.url)
    lost = [{"seq": 2, "reason": "too \x1b old"}, {"seq": 3, "reason": "it is not there"}]
    assert (ran.code, ran.json["agrees"], ran.json["lost_events"]) == (1, False, lost)


@pytest.mark.usefixtures("recorded")
def test_journal_token_wins_over_environment(ship, compared):
    ship()
    assert compared(environment={"RESTANTE_TOKEN": "NOBODY"}).code == 0


# --- differing


@pytest.mark.usefixtures("recorded")
def test_resent_increments_are_duplicated(ship, compared, service):
    service.set_faults([{"at": 1, "fault": "ack_lost"}])
    assert ship("--settle-after", "0s").code == 1
    assert ship().code == 0
    ran = compared()
    assert (ran.code, ran.err) == (1, "")
    assert ran.out.splitlines() == [
        (
            "2 of 3 profiles differ: 2 duplicated, 1 of them with the profile as predicted. "
            "Predicted 4 operations, received 7."
        ),
        "",
        "bob: duplicated at operation 2; the profile comes out as predicted",
        '  predicted  #3 (shipped): {"$set":{"plan":"pro"},"$time":3.5}',
        "  received   message 3, and again message 5",
        "",
        "ada: duplicated at operation 3",
        '  predicted  #1 (shipped, possibly twice): {"$add":{"visits":1},"$time":1.5}',
        "  received   message 1, and again message 6",
        "  in all     0 missing, 2 too many",
    ]
    last = compared("--json").json["divergences"][-1]
    assert (last["kind"], last["predicted"]["seq"]) == ("duplicated", 1)
    assert last["predicted"]["possibly_twice"] is True
    assert (last["elsewhere"]["number"], last["received"]["number"]) == (1, 6)


@pytest.mark.usefixtures("recorded")
def test_doubtful_entries_that_arrived_are_compared(ship, compared, service):
    service.set_faults([{"at": 1, "fault": "ack_lost"}])
    assert ship("--in-doubt", "hold").code == 1
    ran = compared()
    assert (ran.code, ran.out) == (
        0,
        "3 profiles: all agree. Predicted 4 operations, received 4. 3 arrived though not known as sent yet.\n",
    )
    service.reset()
    ran = compared()
    assert ran.out.splitlines()[0] == (
        "1 of 1 profile differs: 1 lost. Predicted 1 operation, received 0. 3 still to be sent."
    )


@pytest.mark.usefixtures("recorded")
def test_reset_service_shows_lost(ship, compared, service):
    ship()
    service.reset()
    ran = compared()
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "3 of 3 profiles differ: 3 lost. Predicted 4 operations, received 0.",
        "",
        "ada: lost at operation 1",
        '  predicted  #1 (shipped): {"$add":{"visits":1},"$time":1.5}',
        "  received   nothing more",
        "  in all     2 missing, 0 too many",
        "",
        "bob: lost at operation 1",
        '  predicted  #3 (shipped): {"$set":{"plan":"pro"},"$time":3.5}',
        "  received   nothing more",
        "",
        "company:acme: lost at operation 1",
        '  predicted  #4 (shipped): {"$set":{"plan":"pro"},"$time":4.5}',
        "  received   nothing more",
    ]


@pytest.mark.usefixtures("recorded")
def test_dropped_entry_that_arrived_is_named(ship, compared, service):
    service.set_faults([{"at": 1, "fault": "ack_lost"}])
    ship("--in-doubt", "drop", "--settle-after", "0s")
    ship()
    ran = compared("--json")
    other, one = ran.json["divergences"]
    assert (one["kind"], one["profile"], one["predicted"]) == ("unexpected", "ada", None)
    assert (one["given_up"]["seq"], one["given_up"]["state"]) == (1, "discarded")
    # What is harmless to repeat is sent again under every policy.
    assert (other["kind"], other["profile"], other["harmless"]) == ("duplicated", "bob", True)
    assert "\n  given up   #1 (discarded: " in compared().out


def test_rejected_entry_that_arrived_is_named(restante, append, compared, service):
    append(UPDATES[0])
    with RawService(answer(400, said_0("not today"))) as refusing:
        restante("ship", "-j", "kiosk.db", "--url", refusing.url)
    send(service, UPDATES[0])
    ran = compared()
    assert ran.code == 1
    assert ran.out.splitlines()[-1] == "  given up   #1 (rejected: not today)"


def test_reordered_and_changed_are_shown(append, compared, service):
    append(*UPDATES)
    send(service, UPDATES[1], UPDATES[0], {**UPDATES[2], "$set": {"plan": "free"}})
    ran = compared()
    assert ran.code == 1
    assert ran.out.splitlines() == [
        (
            "2 of 2 profiles differ: 1 reordered, 1 unexpected, 1 of them with the profile as predicted. "
            "Predicted 2 operations, received 3. 2 arrived though not known as sent yet. 2 still to be sent."
        ),
        "",
        "ada: reordered at operation 1; the profile comes out as predicted",
        '  predicted  #1 (pending): {"$add":{"visits":1},"$time":1.5}',
        '  received   message 1 before it: {"$add":{"visits":1},"$time":2.5}',
        "             message 2: itself",
        "",
        "bob: unexpected at operation 1",
        "  predicted  nothing like it",
        '  received   message 3: {"$set":{"plan":"free"},"$time":3.5}',
        "  recorded   not in this journal",
    ]


def test_numbers_are_those_of_entries(append, ship, compared, service):
    append(UPDATES[2], *UPDATES[:2])
    service.set_faults([{"at": 1, "fault": "reset"}])
    ship("--limit", 1, "--settle-after", "1h")
    ship()
    send(service, UPDATES[1])
    (one,) = compared("--json").json["divergences"]
    assert (one["kind"], one["predicted"]["seq"], one["predicted"]["state"]) == ("duplicated", 3, "shipped")


def test_limit_shortens_the_report(append, compared, service):
    append(UPDATES[0])
    send(service, *[{"$distinct_id": f"u{number}", "$set": {}} for number in range(30)])
    ran = compared()
    assert ran.out.count("unexpected at operation") == 20
    assert ran.err == "20 of 30 shown; --limit shows more.\n"
    ran = compared("--limit", 30)
    assert (ran.out.count("unexpected at operation"), ran.err) == (30, "")
    assert len(compared("--json", "--limit", 1).json["divergences"]) == 30


def test_hostile_data_is_escaped(append, compared, service):
    text = "\x1b]0;pwned\x07\u202e\r\n\t\x9b"
    append({"$distinct_id": text, "$set": {text: [text]}})
    send(service, {"$distinct_id": text, "$set": {text: [text] * 2}})
    ran = compared()
    assert ran.code == 1
    assert all(unicodedata.category(letter)[0] != "C" for letter in ran.out if letter != "\n")


def test_terminal_sees_the_same_report(restante, recorded, ship, compared, service):
    ship()
    ran = restante.on_terminal("compare", "-j", recorded, "--url", service.url)
    assert ran.code == 0
    assert "comparing, shipped" in ran.out
    assert ran.out.endswith(compared().out)


# --- folded


FOLDED = [
    {"$distinct_id": "ada", "$add": {"visits": 1}, "$time": 1.5},
    {"$distinct_id": "bob", "$set": {"plan": "pro"}, "$time": 2.5},
    {"$distinct_id": "ada", "$add": {"visits": 0.1}, "$time": 3.5},
    {"$distinct_id": "ada", "$add": {"visits": 0.2}, "$time": 4.5},
    {"$distinct_id": "bob", "$append": {"seen": 1}, "$time": 5.5},
    {"$distinct_id": "bob", "$set": {"plan": "free"}, "$time": 6.5},
    {"$distinct_id": "ada", "$union": {"kiosks": ["a"]}, "$time": 7.5},
    {"$group_key": "company", "$group_id": "acme", "$set": {"a": 1}, "$time": 8.5},
    {"$group_key": "company", "$group_id": "acme", "$set": {"a": 2}, "$time": 9.5},
]


def test_folded_shipments_agree(append, ship, compared):
    append(*FOLDED)
    assert ship("--fold").code == 0
    ran = compared()
    assert (ran.code, ran.out) == (0, "3 profiles: all agree. Predicted 6 operations, received 6.\n")


def test_folded_and_plain_shipments_agree(append, ship, compared):
    append(*FOLDED)
    ship("--fold", "--limit", 4)
    ship()
    append(*FOLDED)
    ship("--fold")
    assert compared().code == 0


def test_folded_shipment_in_doubt_agrees(append, ship, compared, service):
    append(*FOLDED[:4])
    service.set_faults([{"at": 1, "fault": "ack_lost"}])
    ship("--fold", "--in-doubt", "hold")
    append(*FOLDED[4:7])
    ran = compared("--json")
    assert (ran.code, ran.json["arrived_early"], ran.json["to_send"]) == (0, 2, 3)


def test_unknown_update_may_be_a_fold(append, ship, compared, service):
    append(*FOLDED)
    ship("--fold")
    send(service, {"$distinct_id": "ada", "$add": {"visits": 1.1}, "$time": 3.5})
    assert "  recorded   not in this journal, unless a folded request was sent twice\n" in compared().out


def test_folded_shipment_lost_is_named(append, ship, compared, service):
    append(*FOLDED)
    ship("--fold")
    service.reset()
    (one, *_) = compared("--json").json["divergences"]
    assert (one["kind"], one["predicted"]["seq"]) == ("lost", 1)
    assert one["predicted"]["message"]["$add"] == {"visits": 1.3}


def test_pruned_folded_shipments_agree(restante, journal, append, ship, compared):
    append(*FOLDED)
    ship("--fold")
    restante("prune", "-j", journal, "--all-shipped")
    append({"$distinct_id": "ada", "$add": {"visits": 7}, "$time": 11.5})
    ship("--fold")
    assert compared().code == 0


# --- what is not this journal's, and what went with an earlier token


@pytest.mark.usefixtures("recorded")
def test_unknown_update_is_not_changed(ship, compared, service):
    ship()
    send(
        service, {"$distinct_id": "ada", "$set": {"plan": "basic"}}, {"$distinct_id": "eve", "$add": {"n": 1}}
    )
    ran = compared()
    assert (ran.code, ran.out.splitlines()[0]) == (
        1,
        "2 of 4 profiles differ: 2 unexpected. Predicted 4 operations, received 6.",
    )
    assert ran.out.count("  recorded   not in this journal\n") == 2


@pytest.mark.usefixtures("recorded")
def test_updates_of_earlier_tokens_are_found(restante, journal, ship, compared, append):
    for token in ("T2", "T3", "T", "T4"):
        ship()
        assert restante("token", token, "-j", journal, "--yes").code == 0
        append({"$distinct_id": "ada", "$add": {"visits": 2}}, token=None)
    ship()
    ran = compared()
    assert (ran.code, ran.out) == (0, "3 profiles: all agree. Predicted 8 operations, received 8.\n")
    assert compared("--token", "T4").code == 1


# --- while others are at work


def test_shipping_meanwhile_does_not_diverge(recorded, ship, compared, service, append):
    """Recorded and shipped after the journal was read, before the service answers."""
    ship()

    def meanwhile(wire, request):
        append({"$distinct_id": "ada", "$add": {"visits": 5}, "$time": 9.5})
        with Journal(recorded) as journal:
            Shipper(journal, HttpTransport(url=service.url), ShippingPolicy()).ship()
        append({"$distinct_id": "ada", "$add": {"visits": 6}, "$time": 10.5})
        wire.send(answer(body=requests.get(service.url + request.target, timeout=20).content, keep=False))

    with RawService(meanwhile) as between:
        ran = compared(url=between.url)
    assert (ran.code, ran.out) == (
        0,
        (
            "3 profiles: all agree. Predicted 5 operations, received 5. 1 arrived though not known as sent yet. "
            "1 still to be sent.\n"
        ),
    )


# --- services that cannot be asked


def one_sentence(ran):
    """Return True for a sentence and perhaps what to do, without the layers beneath."""
    return 1 <= len(ran.err.splitlines()) <= 2 and "Traceback" not in ran.err


@pytest.mark.usefixtures("recorded")
def test_unreachable_service_is_reported(compared, closed_port):
    ran = compared(url=closed_port)
    assert (ran.code, ran.out) == (1, "")
    assert one_sentence(ran)
    assert f"{closed_port} cannot be reached: connection refused" in ran.err
    assert "restante simulator" in ran.err


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (answer(404, b"<h1>no</h1>", kind="text/html"), "404"),
        (answer(302, b"", Location="http://127.0.0.1:9/"), "302"),
        (answer(502, b""), "502"),
        (answer(200, b"<!DOCTYPE html>", kind="text/html"), "not JSON"),
        (answer(200, b"\xff\xfe"), "not JSON"),
        (answer(200, b"[" * 100_000), "not JSON"),
        (answer(200, b""), "not JSON"),
        (answer(200, b'{"status": 1}'), "not a list of messages"),
        (answer(200, b"{}"), "not a list of messages"),
        (answer(200, b"5"), "not a list of messages"),
        (answer(200, b"[1]"), "not a list of messages"),
        (answer(200, b'[{"message": {}}]'), "not a list of messages"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "does not speak HTTP"),
        (answer(200, b'[{"endpoint": [], "message": {}}]'), "not a list of messages"),
    ],
    ids=range(14),
)
@pytest.mark.usefixtures("recorded")
def test_stranger_is_told_by_its_answer(compared, said, why):
    with RawService(lambda wire, _: wire.send(said)) as stranger:
        ran = compared(url=stranger.url)
    assert (ran.code, ran.out) == (1, "")
    assert one_sentence(ran)
    assert "is not a local service of restante" in ran.err
    assert why in ran.err


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\nConnection: close\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n[",
    ],
    ids=["by length", "in chunks"],
)
@pytest.mark.usefixtures("recorded")
def test_truncated_answer_is_reported(compared, said):
    with RawService(lambda wire, _: wire.send(said)) as stranger:
        ran = compared(url=stranger.url)
    assert (ran.code, one_sentence(ran)) == (1, True)
    assert "was cut off in the middle of its answer" in ran.err


@pytest.mark.usefixtures("recorded")
def test_address_with_password_is_refused(compared):
    ran = compared(url="http://user:secret@127.0.0.1:9")
    assert (ran.code, one_sentence(ran)) == (2, True)
    assert "has a user or a password" in ran.err
    assert "secret" not in ran.err


@pytest.mark.usefixtures("recorded")
def test_foreign_server_is_reported(compared):
    with RawService(lambda wire, _: wire.reset()) as stranger:
        ran = compared(url=stranger.url)
    assert (ran.code, one_sentence(ran)) == (1, True)


@pytest.mark.parametrize(
    "host", ["api.mixpanel.com", "API-EU.mixpanel.com", "mixpanel.com", "api-in.mixpanel.com:443"]
)
@pytest.mark.usefixtures("recorded")
def test_real_service_is_not_asked(compared, host):
    ran = compared(url=f"https://{host}")
    assert (ran.code, ran.out) == (2, "")
    assert one_sentence(ran)
    assert "Only a local service can" in ran.err


@pytest.mark.usefixtures("recorded")
def test_proxies_are_not_used(ship, compared):
    ship()
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), "http://127.0.0.1:1")
    assert compared(environment={**proxies, "NO_PROXY": "", "no_proxy": ""}).code == 0


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1", "http://127.0.0.1:9/engage"])
@pytest.mark.usefixtures("recorded")
def test_address_that_is_none_exits_2(compared, url):
    assert compared(url=url).code == 2


def test_url_comes_from_the_environment(restante, recorded, ship, service):
    ship()
    here = {"RESTANTE_URL": service.url, "RESTANTE_JOURNAL": str(recorded)}
    assert restante("compare", environment=here).code == 0
    ran = restante("compare", "-j", recorded)
    assert (ran.code, ran.out) == (2, "")
    assert "--url" in ran.err


def test_missing_journal_is_refused(compared, tmp_path):
    assert compared().code == 2
    assert list(tmp_path.iterdir()) == []


def test_journal_without_token_is_reported(compared, journal):
    Journal(journal).close()
    ran = compared()
    assert (ran.code, one_sentence(ran)) == (2, True)
    assert "--token" in ran.err
    assert compared("--token", "T").code == 0


def test_json_is_ascii_for_ascii_output(append, compared, service):
    append({"$distinct_id": "Zoë", "$set": {}})
    send(service, {"$distinct_id": "Zoë", "$set": {"ü": 1}})
    ran = compared("--json", environment={"PYTHONIOENCODING": "ascii"})
    assert json.loads(ran.out)["divergences"][0]["profile"] == "Zoë"
