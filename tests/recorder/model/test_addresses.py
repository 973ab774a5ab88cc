"""Base addresses: regions, hosts, paths, and nothing secret."""

import pytest

from recorder.model.addresses import base_of, is_loopback
from recorder.model.errors import ShippingError


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("eu", "https://api-eu.mixpanel.com"),
        ("in", "https://api-in.mixpanel.com"),
        ("api-eu", "https://api-eu.mixpanel.com"),
        ("API-IN", "https://api-in.mixpanel.com"),
        ("api.mixpanel.com", "https://api.mixpanel.com"),
        ("Shop.example:8443", "https://shop.example:8443"),
        ("localhost:8443", "https://localhost:8443"),
        ("127.0.0.1", "https://127.0.0.1"),
        ("[::1]:81", "https://[::1]:81"),
    ],
)
def test_api_host_is_a_host(host, base):
    assert base_of(None, host) == base


@pytest.mark.parametrize(
    ("host", "hint"),
    [
        ("https://api-eu.mixpanel.com", "api_host='api-eu.mixpanel.com'"),
        ("http://shop.example/mp", "url"),
        ("shop.example/mp", "url='https://shop.example/mp'"),
        ("api", "eu, in"),
        ("eu-api", "eu, in"),
        ("mixpanel", "eu, in"),
        ("", "eu, in"),
        ("shop .example", "eu, in"),
    ],
)
def test_wrong_api_host_gets_a_hint(host, hint):
    with pytest.raises(ShippingError) as caught:
        base_of(None, host)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://shop.example/mp/", "https://shop.example/mp"),
        ("https://SHOP.example:443/a/B", "https://shop.example/a/B"),
        ("http://h:80", "http://h"),
        ("https://h:80", "https://h:80"),
        ("http://[::1]:8765/", "http://[::1]:8765"),
    ],
)
def test_equal_addresses_have_one_base(url, base):
    assert base_of(url, "") == base


@pytest.mark.parametrize(
    "given",
    [
        "http://user:hush@127.0.0.1:9",
        "https://user:pa://hush@h.example",
        "https://user:pa@hush@h.example/",
        "user:hush@h.example",
        "ftp://user:hush@h.example",
        "http://user:hush@[::1",
        "http://user:hush@h:port",
        "http://user:a/hush@h.example",
        "http://h.example/?secret=hush",
        "http://h.example/#hush",
    ],
)
def test_secret_is_refused_and_not_shown(given):
    for url, host in ((given, ""), (None, given)):
        with pytest.raises(ShippingError) as caught:
            base_of(url, host)
        assert "hush" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("base", "own"),
    [
        ("http://localhost:1", True),
        ("http://a.localhost", True),
        ("http://127.0.0.1", True),
        ("http://127.3.2.1/mp", True),
        ("http://[::1]:1", True),
        ("http://[::ffff:127.0.0.1]", True),
        ("http://localhost.example", False),
        ("http://10.0.0.1", False),
        ("http://[fe80::1]", False),
    ],
)
def test_loopback_is_this_machine(base, own):
    assert is_loopback(base) is own
