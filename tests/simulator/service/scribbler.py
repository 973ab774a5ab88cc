"""Random update messages from small pools, so that they collide: all operators, users and groups, some malformed."""

_USERS = ["ada", "bob", "ada ", "12", 12, -1, "ügü", "🙂", "$set", "a" * 255]
_GROUPS = [("company", "acme"), ("company", 7), ("company", "7"), ("ship", "acme"), (1, "ada")]
_NAMES = ["a", "b", "c", "", "$set", "$transactions", "größe", "a.b"]
_NUMBERS = [0, 1, -1, 2, 0.0, -0.0, 1.0, 0.1, -2.5, 2**53, 2**53 + 1, 10**30, 1e308, -1e308, 5e-324]
_SCALARS = [None, True, False, "", "a", "1", "é", "e\u0301", "\u2028", *_NUMBERS]
_LISTS = [[], [1], [1.0, True, "1"], ["a", "b", "a"], [[]], [None, {"x": 1.0}], [{"x": 1}, {"y": [2]}]]
_OBJECTS = [{}, {"x": 1}, {"x": 1.0}, {"x": True, "y": None}, {"y": [2], "x": {"z": -0.0}}]
_ANYTHING = [*_SCALARS, *_LISTS, *_OBJECTS]
_OPERATORS = ["$set", "$set_once", "$add", "$append", "$union", "$remove", "$unset"] * 5 + [
    "$delete",
    "$merge",
]
_MALFORMED_IDENTITIES = [
    {}, {"$distinct_id": ""}, {"$distinct_id": None}, {"$distinct_id": True}, {"$distinct_id": 1.5},
    {"$distinct_id": []}, {"$distinct_id": "a" * 256}, {"$distinct_id": "\ud800"}, {"$group_key": "company"},
    {"$group_id": "acme"}, {"$group_key": "company", "$group_id": ""}, {"$group_key": {}, "$group_id": "acme"},
    {"$distinct_id": "ada", "$group_key": "company", "$group_id": "acme"},
]  # fmt: skip
_MALFORMED_PAYLOADS = [
    ("$set", None), ("$set", []), ("$set_once", "a"), ("$set", {"a": 10**400}), ("$set", {"a": ["\udfff"]}),
    ("$add", {"a": 1, "b": "1"}), ("$add", {"a": None}), ("$add", {"a": True}), ("$add", {"a": []}), ("$add", 1),
    ("$append", "a"), ("$union", {"a": []}), ("$union", {"a": [1], "b": []}), ("$remove", ["a"]), ("$unset", "a"),
    ("$unset", []), ("$unset", {"a": 1}), ("$unset", ["a", 1]), ("$unset", [None]),
]  # fmt: skip


def _identity(random):
    """Draw a frequent identity half of the time, else one of hundreds, so that there are always many profiles."""
    crowd = random.randrange(300) if random.random() < 0.5 else None
    if random.random() < 0.7:
        return {"$distinct_id": random.choice(_USERS) if crowd is None else f"u{crowd}"}
    key, name = random.choice(_GROUPS) if crowd is None else ("crowd", f"g{crowd}")
    return {"$group_key": key, "$group_id": name}


def _names(random):
    return random.sample(_NAMES, random.choice([1, 1, 1, 2, 3]))


def _payload(random, operator):
    if operator == "$delete":
        return random.choice(_ANYTHING)
    if operator == "$unset":
        return _names(random)
    pool = {"$add": _NUMBERS, "$union": [value for value in _ANYTHING if value != []]}.get(
        operator, _ANYTHING
    )
    return {name: random.choice(pool) for name in _names(random)} if random.random() < 0.98 else {}


def _operations(random):
    several = random.choice([1, 1, 1, 1, 2, 3])
    return {operator: _payload(random, operator) for operator in random.sample(_OPERATORS, several)}


def message(random):
    """One message; about one of twenty is malformed.

    Its token is always there: only a service asks for one.
    """
    envelope = {"$token": "T", **_identity(random)}
    if random.random() < 0.3:
        envelope |= {
            "$time": random.choice([0, 1_767_323_045.25, -1]),
            "$ip": 0,
            "note": random.choice(_ANYTHING),
        }
    operations = _operations(random)
    match random.randrange(60):
        case 0:
            return {"$token": "T", **random.choice(_MALFORMED_IDENTITIES), **operations}
        case 1:
            return operations | envelope | dict([random.choice(_MALFORMED_PAYLOADS)])
        case 2:
            return envelope
    return envelope | operations if random.random() < 0.9 else operations | envelope
