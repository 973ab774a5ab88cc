"""Other implementations of the operations: a correct one, and some with a single fault each.

Written from the rules, without a look at the simulator: that the laws hold for it says that they are laws of the
operations, and not of one program.
"""

from copy import deepcopy


def same(left, right):
    """Equal as JSON."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(*pair) for pair in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    return left == right


class Plain:
    """Users' profiles and the operations on them, for valid messages only."""

    def __init__(self):
        self.profiles = {}

    def apply(self, message):
        message = deepcopy(message)
        whose = message.pop("$distinct_id")
        for operator, payload in message.items():
            if operator == "$delete":
                self.profiles.pop(whose, None)
                continue
            profile = self.profiles.setdefault(whose, {})
            if operator == "$unset":
                for name in payload:
                    profile.pop(name, None)
                continue
            change = getattr(self, operator.removeprefix("$"))
            for name, value in payload.items():
                change(profile, name, value)

    def set(self, profile, name, value):
        profile[name] = value

    def set_once(self, profile, name, value):
        profile.setdefault(name, value)

    def add(self, profile, name, number):
        present = profile.get(name, 0)
        if type(present) in {int, float}:
            try:
                total = present + number
                if abs(float(total)) < float("inf"):
                    profile[name] = total
            except OverflowError:
                pass

    def append(self, profile, name, value):
        if isinstance(profile.setdefault(name, []), list):
            profile[name].append(value)

    def union(self, profile, name, members):
        present = profile.setdefault(name, [])
        if isinstance(present, list):
            for member in members if isinstance(members, list) else [members]:
                if not self.contains(present, member):
                    present.append(member)

    def remove(self, profile, name, values):
        present = profile.get(name)
        if isinstance(present, list):
            for value in values if isinstance(values, list) else [values]:
                present[:] = [one for one in present if not same(one, value)]

    def contains(self, present, member):
        return any(same(one, member) for one in present)


class PythonsIn(Plain):
    """Searches lists by Python's ==: True is in [1]."""

    def contains(self, present, member):
        return member in present


class SortedUnion(Plain):
    """Unites as sets are united, in an order of its own."""

    def union(self, profile, name, members):
        super().union(profile, name, members)
        if isinstance(profile[name], list):
            profile[name].sort(key=repr)


class RemoveFirst(Plain):
    """Removes the first equal element."""

    def remove(self, profile, name, values):
        present = profile.get(name)
        if isinstance(present, list):
            for value in values if isinstance(values, list) else [values]:
                place = next((place for place, one in enumerate(present) if same(one, value)), None)
                if place is not None:
                    del present[place]


class AddOfFloats(Plain):
    """Counts in doubles, as languages do that know no other numbers."""

    def add(self, profile, name, number):
        super().add(profile, name, number)
        if type(profile.get(name)) is int:
            profile[name] = float(profile[name])


class Queue:
    """Keeps messages, and applies them when its profiles are looked at."""

    def __init__(self):
        self.waiting = []
        self.applied = Plain()

    def apply(self, message):
        self.waiting.append(deepcopy(message))

    def folded(self):
        return self.waiting

    @property
    def profiles(self):
        for message in self.folded():
            self.applied.apply(message)
        self.waiting.clear()
        return self.applied.profiles


class UnsetFoldedAway(Queue):
    """Folds what waits: an unset is dropped where a later add on the property waits, too."""

    def folded(self):
        kept = []
        for place, message in enumerate(self.waiting):
            later = [
                name
                for other in self.waiting[place:]
                if other["$distinct_id"] == message["$distinct_id"]
                for name in other.get("$add", ())
            ]
            names = [name for name in message.get("$unset", ()) if name not in later]
            if "$unset" not in message or names:
                kept.append({**message, "$unset": names} if names else message)
        return kept


class HandsOverItsList(Plain):
    """Keeps the very lists it is given, and changes them."""

    def apply(self, message):
        for operator, payload in message.items():
            if operator == "$set":
                self.profiles.setdefault(message["$distinct_id"], {}).update(payload)
            elif operator != "$distinct_id":
                super().apply({"$distinct_id": message["$distinct_id"], operator: payload})


class SendsBatchAgain(Queue):
    """Sends what waits, is told that it failed, and sends it again."""

    def folded(self):
        return self.waiting * 2


# --- one small fault for each law; see tests/simulator/testing/test_laws.py


class SetTouchesMore(Plain):
    def set(self, profile, name, value):
        profile["b"] = 0
        profile[name] = value


class FirstPropertyOnly(Plain):
    def apply(self, message):
        cut = {
            key: dict(list(value.items())[:1]) if isinstance(value, dict) else value
            for key, value in message.items()
        }
        super().apply(cut)


class UnsetCreatesNothing(Plain):
    def apply(self, message):
        if "$unset" not in message or message["$distinct_id"] in self.profiles:
            super().apply(message)


class UnionAppends(Plain):
    def union(self, profile, name, members):
        present = profile.setdefault(name, [])
        if isinstance(present, list):
            present += members if isinstance(members, list) else [members]


class DropsRepeats(Queue):
    def folded(self):
        return [one for place, one in enumerate(self.waiting) if one not in self.waiting[:place]]


class NullIsNotSet(Plain):
    def set(self, profile, name, value):
        if value is not None:
            profile[name] = value


class UnsetSetsNull(Plain):
    def apply(self, message):
        profile = self.profiles.setdefault(message["$distinct_id"], {})
        for name in message.get("$unset", ()):
            if name in profile:
                profile[name] = None
        if "$unset" not in message:
            super().apply(message)


class DeleteEmpties(Plain):
    def apply(self, message):
        if "$delete" not in message:
            super().apply(message)
        elif message["$distinct_id"] in self.profiles:
            self.profiles[message["$distinct_id"]] = {}


class DeleteDoesNothing(Plain):
    def apply(self, message):
        if "$delete" not in message:
            super().apply(message)


class NullCountsAsUnset(Plain):
    def set_once(self, profile, name, value):
        if profile.get(name) is None:
            profile[name] = value


class UnionGoesToTheFront(Plain):
    def union(self, profile, name, members):
        present = profile.setdefault(name, [])
        if isinstance(present, list):
            fresh = []
            for member in members if isinstance(members, list) else [members]:
                if not self.contains([*fresh, *present], member):
                    fresh.append(member)
            present[:0] = fresh


class UnionOfListsOnly(Plain):
    def union(self, profile, name, members):
        if isinstance(members, list):
            super().union(profile, name, members)


class SetOnceSets(Plain):
    def set_once(self, profile, name, value):
        profile[name] = value


class NeverBelowZero(Plain):
    def add(self, profile, name, number):
        super().add(profile, name, number)
        if type(profile.get(name)) is int:
            profile[name] = max(profile[name], 0)


class RoundsToCents(Plain):
    def add(self, profile, name, number):
        super().add(profile, name, number)
        if type(profile.get(name)) is float:
            profile[name] = round(profile[name], 2)


class UnionOverwrites(Plain):
    def union(self, profile, name, members):
        profile.pop(name, None)
        super().union(profile, name, members)


class AppendOverwrites(Plain):
    def append(self, profile, name, value):
        profile[name] = [value]


class RemoveFromTheEnd(Plain):
    def remove(self, profile, name, values):
        present = profile.get(name)
        if isinstance(present, list) and present and same(present[-1], values):
            present.pop()


class RemoveMakesLists(Plain):
    def remove(self, profile, name, values):
        profile.setdefault(name, [])
        super().remove(profile, name, values)


class RemoveLooksForTheList(Plain):
    def remove(self, profile, name, values):
        super().remove(profile, name, [values])


class AppendExtends(Plain):
    def append(self, profile, name, value):
        for one in value if isinstance(value, list) else [value]:
            super().append(profile, name, one)


class AddOfZeroIsDropped(Plain):
    def add(self, profile, name, number):
        if number != 0:
            super().add(profile, name, number)


class UnionOfWhatIsThere(Plain):
    def union(self, profile, name, members):
        if name in profile:
            super().union(profile, name, members)


class AddReplaces(Plain):
    def add(self, profile, name, number):
        if type(profile.get(name)) not in {int, float}:
            profile[name] = 0
        super().add(profile, name, number)


class DeleteTakesAll(Plain):
    def apply(self, message):
        super().apply(message)
        if "$delete" in message:
            self.profiles.clear()


class IdsAreNumbers(Plain):
    def apply(self, message):
        whose = message["$distinct_id"]
        super().apply({**message, "$distinct_id": str(int(whose)) if whose.isdigit() else whose})


class SetOnceRemembers(Plain):
    def __init__(self):
        super().__init__()
        self.once = set()

    def set_once(self, profile, name, value):
        if name not in self.once:
            super().set_once(profile, name, value)
        self.once.add(name)


class SetMerges(Plain):
    def set(self, profile, name, value):
        if isinstance(value, dict) and isinstance(profile.get(name), dict):
            value = {**profile[name], **value}
        profile[name] = value


class AddToInfinity(Plain):
    def add(self, profile, name, number):
        if type(profile.get(name, 0)) in {int, float}:
            profile[name] = profile.get(name, 0) + number


class KeepsCharges(Plain):
    def apply(self, message):
        kept = self.profiles.get(message["$distinct_id"], {}).get("$transactions")
        super().apply(message)
        if "$delete" in message and kept:
            self.profiles[message["$distinct_id"]] = {"$transactions": kept}
