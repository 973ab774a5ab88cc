"""Limits of the service: a value of the documented size is within them, a larger one is named with its size."""

import pytest

from recorder.model.limits import beyond_limits, updates_beyond_limits


def nested(levels):
    """So many objects in each other."""
    return {"o": nested(levels - 1)} if levels > 1 else {"a": 1}


def found(excesses):
    return [(excess.path, excess.size, excess.limit.most) for excess in excesses]


KEYS = {f"k{n}": n for n in range(255)}
BOUNDS = {
    "properties": ({f"p{n}": n for n in range(2_000)}, "", 2_001, {"more": 1}),
    "name": ({"n" * 255: 1}, '"' + "n" * 60 + '\\u2026"', 256, {"n" * 256: 1}),
    "string": ({"bio": "é" * 127 + "a"}, "bio", 256, {"bio": "é" * 128}),
    "listed string": ({"tags": ["a", "b" * 255]}, "tags[1]", 256, {"tags": ["a", "b" * 256]}),
    "string in object": ({"o": {"s": ["b" * 255]}}, "o.s[0]", 256, {"o": {"s": ["b" * 256]}}),
    "list": ({"l": [1] * 127_998 + [11]}, "l", 256_001, {"l": [1] * 128_000}),
    "list in bytes": ({"l": ["é" * 127] * 996}, "l", 256_230, {"l": ["é" * 127] * 997}),
    "lone surrogates": ({"s": "\ud800" * 85}, "s", 258, {"s": "\ud800" * 86}),
    "object": ({"o": {"l": [1] * 127_995 + [11]}}, "o", 256_001, {"o": {"l": [1] * 127_997}}),
    "keys": ({"o": {"o": KEYS}}, "o.o", 256, {"o": {"o": KEYS | {"more": 1}}}),
    "levels": ({"o": nested(3)}, "o", 4, {"o": nested(4)}),
    "levels through lists": ({"o": {"l": [nested(2)]}}, "o", 4, {"o": {"l": [nested(3)]}}),
    "levels in a list": ({"cart": [{"a": [1]}]}, "cart", 2, {"cart": [1, {"a": [{}]}]}),
}


@pytest.mark.parametrize(("within", "path", "size", "change"), BOUNDS.values(), ids=BOUNDS)
def test_limit_is_exceeded_by_one(within, path, size, change):
    assert found(beyond_limits(within)) == []
    ((place, larger, most),) = found(beyond_limits(within | change))
    assert (place, larger) == (path, size)
    assert 0 < most < size
    (excess,) = beyond_limits(within | change)
    assert excess.limit.source.startswith("https://docs.mixpanel.com/docs/")
    assert str(excess).endswith(f"{excess.limit.unit}; the limit is {most:,}")


def test_all_excesses_are_named():
    long = "a" * 300
    properties = {"a": long, "b": [long, {"c": {"d": long}}], "n": 1, "t": True, "e": None}
    assert found(beyond_limits(properties)) == [
        ("a", 300, 255),
        ("b", 2, 1),
        ("b[0]", 300, 255),
        ("b[1].c.d", 300, 255),
    ]


@pytest.mark.parametrize(
    ("operator", "payload", "expected"),
    [
        ("$set", {"a": "b" * 256}, ["a"]),
        ("$set_once", {"o": nested(4)}, ["o"]),
        ("$append", {"a": "b" * 256}, ["a[0]"]),
        ("$append", {"cart": nested(2)}, ["cart"]),
        ("$append", {"cart": nested(1)}, []),
        ("$union", {"a": ["b" * 256]}, ["a[0]"]),
        ("$union", {"a": "b" * 256}, ["a[0]"]),
        ("$remove", {"a": "b" * 256}, []),
        ("$unset", ["a" * 256], []),
        ("$delete", {"a": "b" * 256}, []),
        ("$merge", {"a": "b" * 256}, []),
        ("$set", ["a" * 256], []),
        (None, {"a": "b" * 256}, []),
    ],
)
def test_update_is_looked_into(operator, payload, expected):
    assert [excess.path for excess in updates_beyond_limits(operator, payload)] == expected
