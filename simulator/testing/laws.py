"""Laws of the operations, each a named function; `law_suite` makes tests of them.

``a;b`` in a statement is a, then b. A law's equation returns its two sides, or one side and the expected properties;
its `equality` says when these are equal. Points that the service does not document follow the default
`Dialect`.

`TRAPS` are statements that read like laws and are false: Hypothesis finds a counterexample for each, and software that
relies on one loses data.

Call a law with `make`, which makes an empty implementation, and its variables:

>>> from restante import Simulator
>>> from simulator.testing import laws
>>> laws.unions_fuse(Simulator, start={"a": [True]}, first=[1, 1.0], then=[0, 1])
"""

import sys
from collections.abc import Callable
from functools import partial
from itertools import islice, permutations
from math import factorial
from typing import Any

from hypothesis import strategies as st

from recorder.model.json_value import json_equal, kind_of
from recorder.model.operations import Operator
from recorder.model.semantics import apply_operation
from simulator.testing.law import LOOK, Equality, Expected, Law, Side
from simulator.testing.operation import Operation
from simulator.testing.strategies import operations, states, values

__all__ = ["LAWS", "TRAPS"]

__tracebackhide__ = __unittest = True

LAWS: dict[str, Law] = {}
"""All laws by name."""

TRAPS: dict[str, Law] = {}
"""False statements by name."""

_Equation = Callable[..., tuple[Side, Side | Expected]]


def _keep(
    kept: dict[str, Law], equality: Equality = Equality.EXACT, **given: Any
) -> Callable[[_Equation], Law]:
    def keep(equation: _Equation) -> Law:
        statement = " ".join((equation.__doc__ or "").split())
        law = Law(equation.__name__, statement, equality, given, equation)
        kept[law.name] = law
        __all__.append(law.name)  # noqa: PYI056  # each law is public, and none can be forgotten
        return law

    return keep


_law, _trap = partial(_keep, LAWS), partial(_keep, TRAPS)


def _on_property_a(operator: str, payload: Any) -> Operation:
    return Operation(operator, {"a": payload})


_set, _set_once, _add, _append, _union, _remove = (
    partial(_on_property_a, operator)
    for operator in ("$set", "$set_once", "$add", "$append", "$union", "$remove")
)
_UNSET = Operation("$unset", ["a"])
_DELETE = Operation("$delete", "")

# --- the variables of laws

# map() makes it one alternative beside others: Hypothesis would count the alternatives inside it singly.
_VALUE = values().map(lambda value: value)
_SINGLE = _VALUE.filter(lambda value: not isinstance(value, list))
# Laws need these more often than chance gives them: equal or nearly equal values, alone, in lists and in objects.
_TWIN = st.sampled_from([1, True, 1.0, "1"])
_TWINS = st.lists(_TWIN, min_size=2, max_size=4)
_OBJECT = st.dictionaries(st.sampled_from("xy"), _TWIN, min_size=1)
_LIST = _TWINS | st.lists(_VALUE, max_size=4)
_MEMBERS = st.lists(_TWIN, min_size=1, max_size=3) | st.lists(_VALUE, min_size=1, max_size=3)
# Most laws are about property a, which mostly exists, and is often a list.
_A = st.fixed_dictionaries({"a": _VALUE | _TWINS | _OBJECT})
_PRESENT = _A | states(missing=False)
_START = (st.none() | _A | _A | states(missing=False)).map(lambda start: start)
_ANY = operations()
_ONE_PROPERTY = st.just("a")


def _on_a(*operators: Operator) -> st.SearchStrategy[Operation]:
    def of(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Operation]:
        return operations(
            names=_ONE_PROPERTY, values=items, min_properties=1, max_properties=1, operators=operators
        )

    return of(_TWIN) | of(_VALUE)


_SOME = st.lists(_on_a(*Operator), min_size=2, max_size=4)
_NAMING = tuple(operator for operator in Operator if operator is not Operator.DELETE)
_MAKING = tuple(operator for operator in _NAMING if operator is not Operator.UNSET)
# Integers whose partial sums stay within the range of doubles.
_INTEGER = st.integers(-5, 5) | st.sampled_from([2**53, 2**53 + 1, -(2**53), 10**30])
_COUNTING: st.SearchStrategy[dict[str, Any] | None] = st.one_of(
    st.none(), st.just({}), st.fixed_dictionaries({"a": _INTEGER})
)
_NUMBER = st.sampled_from([0, 1, 0.1, 0.2, -0.1, 1.5, 1e16, -1e16, 1e300, 2**53 + 1]) | st.floats(-1e6, 1e6)


def _present(start: dict[str, Any] | None, absent: Any) -> Any:
    return (start or {}).get("a", absent)


# --- the frame


@_law(start=_PRESENT, other=_START, operation=operations(min_properties=1, operators=_NAMING))
def an_operation_touches_what_it_names(fold, start, other, operation):
    """An operation changes the properties it names, of its profile, and nothing else."""
    done, undone = fold(start, operation, other=other), fold(start, other=other)
    return done.without(operation.payload), undone.without(operation.payload)


@_law(
    start=_START,
    operation=operations(min_properties=1, operators=_NAMING),
    order=st.integers(0, factorial(3) - 1),
)
def an_operation_is_one_of_each_property(fold, start, operation, order):
    """An operation on several properties = one operation on each, in any order."""
    payload = operation.payload
    each = [
        Operation(operation.operator, [name] if isinstance(payload, list) else {name: payload[name]})
        for name in payload
    ]
    turned = next(islice(permutations(each), order % factorial(len(each)), None))
    return fold(start, operation), fold(start, *turned)


@_law(start=_PRESENT, other=_PRESENT)
def a_delete_takes_its_profile_and_no_other(fold, start, other):
    """delete removes the whole profile, and no other."""
    return fold(start, _DELETE, other=other), fold(None, other=other)


_ALIKE = [("u1", "U1"), ("1", "01"), ("\u00e9", "e\u0301"), ("a", " a"), ("a", "a\u200b")]


@_law(twins=st.sampled_from(_ALIKE))
def ids_and_names_are_told_apart(fold, twins):
    """Ids, and names of properties, that look alike are different."""
    one, other = twins
    messages = [
        {"$distinct_id": id_, "$set": {name: place}}
        for place, (id_, name) in enumerate([(one, one), (one, other), (other, one), (other, other)])
    ]
    expected = {one: {one: 0, other: 1}, other: {one: 2, other: 3}}
    return fold.of(messages), Side(expected)


@_law(start=_PRESENT, first=_SOME, then=_SOME)
def looking_changes_nothing(fold, start, first, then):
    """xs; look at the profiles; ys = xs; ys."""
    return fold(start, *first, LOOK, *then), fold(start, *first, *then)


@_law(start=_PRESENT, first=_SOME, then=_SOME)
def what_is_held_is_all_that_counts(fold, start, first, then):
    """xs; ys = (set the result of xs); ys: there is no hidden state."""
    return fold(start, *first, *then), fold(fold(start, *first).properties, *then)


@_law(start=_START, several=st.lists(_ANY, min_size=1, max_size=3))
def messages_stay_their_owners(fold, start, several):
    """A message is not changed, and later changes of it by its owner change no profile."""
    return fold.spoilt(start, *several), fold(start, *several)


@_law(operation=operations(operators=_NAMING, min_properties=1))
def everything_but_delete_creates(fold, operation):
    """Every operation except delete creates a missing profile: w = set nothing; w."""
    return fold(None, operation), fold({}, operation)


# --- again


_AGAIN = tuple(operator for operator in Operator if operator not in {Operator.ADD, Operator.APPEND})


@_law(start=_START, operation=operations(operators=_AGAIN))
def repeated_at_once_counts_once(fold, start, operation):
    """w; w = w, for set, set once, union, remove, unset and delete."""
    return fold(start, operation, operation), fold(start, operation)


@_law(start=_COUNTING, number=_INTEGER)
def each_add_counts(fold, start, number):
    """add n; add n adds n twice."""
    return fold(start, _add(number), _add(number)), {"a": _present(start, 0) + number + number}


@_law(present=_LIST, value=_VALUE)
def each_append_counts(fold, present, value):
    """append v; append v adds v at the end twice, even if it is in the list already."""
    return fold({"a": present}, _append(value), _append(value)), {"a": [*present, value, value]}


# --- absorption


@_law(start=_START, earlier=_on_a(*_NAMING), value=_VALUE)
def set_absorbs(fold, start, earlier, value):
    """Anything on a property alone; set v = set v."""
    return fold(start, earlier, _set(value)), fold(start, _set(value))


@_law(start=_START, earlier=_on_a(*_NAMING))
def unset_absorbs(fold, start, earlier):
    """Anything on a property alone; unset = unset."""
    return fold(start, earlier, _UNSET), fold(start, _UNSET)


_CHARGED = st.just({"a": 1, "$transactions": [{"$amount": 1}]})


@_law(start=_START | _CHARGED, earlier=_ANY)
def delete_absorbs(fold, start, earlier):
    """Anything; delete = delete."""
    return fold(start, earlier, _DELETE), fold(start, _DELETE)


@_law(start=_START | _CHARGED, operation=_ANY)
def after_delete_all_starts_afresh(fold, start, operation):
    """delete; w = w on a missing profile; so delete commutes with nothing but delete."""
    return fold(start, _DELETE, operation), fold(None, operation)


@_law(start=_START, value=_VALUE, late=_VALUE)
def what_is_set_is_not_set_once_more(fold, start, value, late):
    """set v; set_once w = set v, also where v is null."""
    return fold(start, _set(value), _set_once(late)), fold(start, _set(value))


@_law(start=_START, value=_OBJECT | _VALUE | _LIST)
def what_is_set_is_stored_whole(fold, start, value):
    """set v stores v, of any kind, over any value: an object is overwritten, not merged."""
    return fold(start, _set(value)), {**(start or {}), "a": value}


# --- constants


@_law(start=_START, value=_VALUE | _LIST, then=_on_a(*_MAKING))
def set_then_anything_is_one_set(fold, start, value, then):
    """set v; w = set (w applied to v), for any w except unset and delete."""
    made, _ = apply_operation({"a": value}, then.operator, then.payload)
    return fold(start, _set(value), then), fold(start, _set((made or {})["a"]))


@_law(start=_START, then=_on_a(*_MAKING))
def unset_then_anything_starts_from_nothing(fold, start, then):
    """unset; w = unset; set (w applied to an absent property): an unset is never dropped."""
    made, _ = apply_operation({}, then.operator, then.payload)
    sets = [_set((made or {})["a"])] if made else []
    return fold(start, _UNSET, then), fold(start, _UNSET, *sets)


# --- fusion


@_law(start=_START, first=_MEMBERS, then=_MEMBERS)
def unions_fuse(fold, start, first, then):
    """union A; union B = union (A then B)."""
    return fold(start, _union(first), _union(then)), fold(start, _union([*first, *then]))


@_law(start=_START, value=_SINGLE)
def a_single_member_is_a_union_of_one(fold, start, value):
    """union v = union [v], where v is no list."""
    return fold(start, _union(value)), fold(start, _union([value]))


@_law(start=_START, value=_VALUE, late=_VALUE)
def the_first_set_once_stays(fold, start, value, late):
    """set_once a; set_once b = set_once a."""
    return fold(start, _set_once(value), _set_once(late)), fold(start, _set_once(value))


@_law(start=_COUNTING, first=_INTEGER, then=_INTEGER)
def integer_adds_fuse(fold, start, first, then):
    """add a; add b = add (a + b), for integers on an integer or an absent property."""
    return fold(start, _add(first), _add(then)), fold(start, _add(first + then))


@_law(present=_NUMBER, first=_NUMBER, then=_NUMBER)
def float_adds_fuse_but_for_rounding(fold, present, first, then):
    """add a; add b = add (a + b) to within 3 · 2⁻⁵² (|p| + |a| + |b|), p being what was present."""
    step, fused = fold({"a": present}, _add(first), _add(then)), fold({"a": present}, _add(first + then))
    # Of 2⁻⁵³ of all that is added, five: two where it goes step by step (an integer sum becomes a float, and the
    # sum is rounded), three the other way (an integer becomes a float, two sums). The sixth is for what roundings
    # add to each other.
    bound = 3 * sys.float_info.epsilon * (abs(present) + abs(first) + abs(then))
    left, right = ((side.properties or {}).get("a") for side in (step, fused))
    if isinstance(left, float) and isinstance(right, float) and abs(left - right) <= bound:
        return step.without("a"), fused.without("a")
    return step, fused


# --- order


@_law(start=_COUNTING, first=_INTEGER, then=_INTEGER)
def integer_adds_commute(fold, start, first, then):
    """add a; add b = add b; add a, for integers on an integer or an absent property."""
    return fold(start, _add(first), _add(then)), fold(start, _add(then), _add(first))


@_law(Equality.UNORDERED, start=_START, first=_MEMBERS, then=_MEMBERS)
def unions_commute(fold, start, first, then):
    """union A; union B = union B; union A."""
    return fold(start, _union(first), _union(then)), fold(start, _union(then), _union(first))


@_law(Equality.UNORDERED, start=_START, first=_VALUE, then=_VALUE)
def appends_commute(fold, start, first, then):
    """append v; append w = append w; append v."""
    return fold(start, _append(first), _append(then)), fold(start, _append(then), _append(first))


@_law(start=st.fixed_dictionaries({"a": _LIST}) | _START, first=_TWIN | _VALUE, then=_TWIN | _VALUE)
def removes_commute(fold, start, first, then):
    """remove v; remove w = remove w; remove v."""
    return fold(start, _remove(first), _remove(then)), fold(start, _remove(then), _remove(first))


@_law(start=_START, value=_VALUE)
def remove_and_unset_commute(fold, start, value):
    """remove v; unset = unset; remove v."""
    return fold(start, _remove(value), _UNSET), fold(start, _UNSET, _remove(value))


@_law(start=_START, value=_VALUE, other=_VALUE)
def set_and_set_once_commute(fold, start, value, other):
    """set v; set_once w = set_once w; set v."""
    return fold(start, _set(value), _set_once(other)), fold(start, _set_once(other), _set(value))


# --- values


@_law(present=_VALUE, value=_VALUE)
def membership_is_equality_of_json(fold, present, value):
    """union [w] into [v] leaves [v] where they are equal as JSON, and else [v, w]."""
    joined = [present] if json_equal(present, value) else [present, value]
    return fold({"a": [present]}, _union([value])), {"a": joined}


@_law(present=_LIST, members=_MEMBERS)
def union_keeps_the_order(fold, present, members):
    """union A keeps present elements, and adds missing ones at the end, in the order of A."""
    joined = list(present)
    for member in members:
        if not any(json_equal(member, one) for one in joined):
            joined.append(member)
    return fold({"a": present}, _union(members)), {"a": joined}


@_law(present=_LIST, value=_SINGLE)
def remove_takes_every_equal_element(fold, present, value):
    """remove v keeps every element that is not equal to v as JSON, in order, even if the list is then empty."""
    return fold({"a": present}, _remove(value)), {"a": [one for one in present if not json_equal(one, value)]}


@_law(present=_LIST, values=_LIST)
def remove_takes_each_of_a_list(fold, present, values):
    """remove [v, w] = remove v; remove w, where neither is a list itself."""
    each = [value for value in values if not isinstance(value, list)]
    return fold({"a": present}, _remove(each)), fold({"a": present}, *map(_remove, each))


@_law(present=_LIST, value=_LIST)
def append_nests_a_list(fold, present, value):
    """append [v, w] adds one element, the list."""
    return fold({"a": present}, _append(value)), {"a": [*present, value]}


@_law(start=st.sampled_from([None, {}]), number=_NUMBER)
def add_takes_what_is_missing_for_zero(fold, start, number):
    """add n on a missing property makes it 0 + n, also where n is 0."""
    return fold(start, _add(number)), {"a": 0 + number}


@_law(start=st.sampled_from([None, {}]), value=_SINGLE)
def union_makes_a_list_of_what_is_missing(fold, start, value):
    """union [v, v] on a missing property makes it [v]."""
    return fold(start, _union([value, value])), {"a": [value]}


_HUGE = st.sampled_from([10**308, -(10**308), 1e308, -1e308, 1.7e308])


@_law(present=_HUGE, number=_HUGE)
def a_sum_beyond_doubles_is_left_alone(fold, present, number):
    """add n changes nothing if the sum is beyond what a double can hold."""
    try:
        total = present + number
        beyond = abs(float(total)) > sys.float_info.max
    except OverflowError:
        beyond = True
    return fold({"a": present}, _add(number)), {"a": present if beyond else total}


@_law(present=_NUMBER, several=st.lists(_NUMBER, max_size=4))
def sums_are_exact_for_integers_and_ieee_for_floats(fold, present, several):
    """Adds go one after the other: exact on integers, and IEEE's from the first float on."""
    total = present
    for number in several:
        total += number
    return fold({"a": present}, *map(_add, several)), {"a": total}


@_law(
    present=_VALUE,
    operation=_on_a(Operator.ADD, Operator.APPEND, Operator.UNION, Operator.REMOVE),
)
def what_does_not_fit_is_left_alone(fold, present, operation):
    """An add to a value that is not a number, or a list operation on one that is not a list, changes nothing."""
    wanted = "a number" if operation.operator == Operator.ADD else "a list"
    done = fold({"a": present}, operation)
    return done, done if kind_of(present) == wanted else {"a": present}


# --- traps


@_trap(start=_START)
def adding_zero_changes_nothing(fold, start):
    """add 0 = nothing; yet it makes a missing property 0."""
    return fold(start, _add(0)), fold(start)


@_trap(start=_START, members=_MEMBERS)
def a_union_said_before_can_be_dropped(fold, start, members):
    """union A; unset; union A = union A; unset; yet the second one makes a new list."""
    said = _union(members)
    return fold(start, said, _UNSET, said), fold(start, said, _UNSET)


@_trap(value=_SINGLE)
def removing_the_last_is_unset(fold, value):
    """remove v from [v] = unset; yet it leaves an empty list."""
    return fold({"a": [value]}, _remove(value)), fold({"a": [value]}, _UNSET)


@_trap(present=_LIST, value=_VALUE)
def remove_undoes_append(fold, present, value):
    """append v; remove v = nothing; yet remove takes earlier equal elements, and each element of a list."""
    return fold({"a": present}, _append(value), _remove(value)), fold({"a": present})


@_trap(present=_LIST, values=_LIST)
def append_takes_each_of_a_list(fold, present, values):
    """append [v, w] = append v; append w; yet the list goes in whole."""
    return fold({"a": present}, _append(values)), fold({"a": present}, *map(_append, values))


@_trap(present=_NUMBER, first=_NUMBER, then=_NUMBER)
def float_adds_fuse_exactly(fold, present, first, then):
    """add a; add b = add (a + b) for floats; yet 0.1 + 1 - 1 is not 0.1."""
    return fold({"a": present}, _add(first), _add(then)), fold({"a": present}, _add(first + then))


@_trap(start=_START, value=_VALUE, other=_VALUE)
def a_late_repeat_is_safe(fold, start, value, other):
    """set v; set w; set v = set v; set w; yet the repeat overwrites w."""
    return fold(start, _set(value), _set(other), _set(value)), fold(start, _set(value), _set(other))


@_trap(start=_START, operation=_ANY)
def delete_commutes(fold, start, operation):
    """w; delete = delete; w; yet an operation after a delete starts a profile."""
    return fold(start, operation, _DELETE), fold(start, _DELETE, operation)


@_trap(present=_VALUE, value=_VALUE)
def python_can_tell_members(fold, present, value):
    """union [w] into [v] adds w where ``w not in [v]``; yet Python takes True for 1."""
    joined = [present]
    if value not in joined:
        joined.append(value)
    return fold({"a": [present]}, _union([value])), {"a": joined}
