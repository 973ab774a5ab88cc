"""The operations written anew from their description, for `restante conform`; the first argument plants a fault."""

import json
import sys

FAULT = sys.argv[1] if len(sys.argv) > 1 else ""
ENVELOPE = {
    *("$token", "$distinct_id", "$group_key", "$group_id", "$time", "$ip", "$ignore_time", "$ignore_alias"),
    *("$latitude", "$longitude", "$device_id", "$user_id", "$had_persisted_distinct_id", "$mp_metadata"),
}


def same(one, other):
    """Equality as JSON: 1 equals 1.0, true is not 1."""
    if isinstance(one, bool) != isinstance(other, bool) and FAULT != "true is 1":
        return False
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return one == other


def is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def sum_of(present, number):
    """The sum, or what is present where no double can hold it."""
    try:
        return present + number if abs(float(present + number)) < float("inf") else present
    except OverflowError:
        return present


def joined(present, members):
    found = list(present)
    for member in members:
        if not any(same(member, one) for one in found):
            found.append(member)
    return sorted(found, key=json.dumps) if FAULT == "union sorts" else found


def changed(operator, present, value):
    """A property's value after an operator that takes values; `present` is a list of it, empty for no property."""
    is_list = not present or isinstance(present[0], list)
    several = value if isinstance(value, list) else [value]
    match operator:
        case "$set":
            merged = (
                FAULT == "set merges" and isinstance(value, dict) and present and isinstance(present[0], dict)
            )
            return [{**present[0], **value}] if merged else [value]
        case "$set_once":
            return [value] if FAULT == "set once overwrites" else present or [value]
        case "$add" if not present or is_number(present[0]):
            return (
                present if FAULT == "zero is dropped" and value == 0 else [sum_of(*(present or [0]), value)]
            )
        case "$append" if is_list:
            return [[*(present or [[]])[0], *(several if FAULT == "append spreads" else [value])]]
        case "$union" if is_list:
            return [joined(*(present or [[]]), several)]
        case "$remove" if present and is_list:
            unwanted = [value] if FAULT == "a list is one value" else several
            kept = [one for one in present[0] if not any(same(one, gone) for gone in unwanted)]
            return [] if FAULT == "emptied is unset" and present[0] and not kept else [kept]
    return present


def malformed(operator, payload):
    if operator == "$delete":
        return False
    if operator == "$unset":
        return (
            not isinstance(payload, list) or not payload or not all(isinstance(name, str) for name in payload)
        )
    if not isinstance(payload, dict):
        return True
    return (operator == "$add" and not all(map(is_number, payload.values()))) or (
        operator == "$union" and [] in payload.values()
    )


OPERATORS = {"$set", "$set_once", "$add", "$append", "$union", "$remove", "$unset", "$delete"}


def apply(state, message):
    written = [name for name in message if name.startswith("$") and name not in ENVELOPE]
    if any(operator not in OPERATORS or malformed(operator, message[operator]) for operator in written):
        return state
    for operator in written:
        if operator == "$delete":
            state = {} if FAULT == "delete empties" and state is not None else None
            continue
        state = dict(state or {})
        for name in message[operator]:
            present = [state.pop(name)] if name in state else []
            if operator != "$unset":
                present = changed(operator, present, message[operator][name])
            elif FAULT != "unset is dropped":
                present = []
            state.update((name, value) for value in present)
    return state


if __name__ == "__main__":
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps({"n": asked["n"], "state": apply(asked["state"], asked["message"])}), flush=True)
