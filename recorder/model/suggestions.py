"""Names that are no operators, and the ones that were probably meant. Pure."""

from difflib import get_close_matches

from recorder.model.errors import InvalidOperation
from recorder.model.normalise import member_path
from recorder.model.operations import ENVELOPE, Operator

__all__ = ["meant", "no_operator"]

_NEAR = 0.8  # of 1: one letter more, less or other in a name of four


def _plain(name: str) -> str:
    return name.strip("$ ").replace("_", "").casefold()


_NAMES = {
    **{_plain(name): name for name in sorted(ENVELOPE)},
    **{_plain(name): name for name in Operator},
    # The SDKs' methods that are not named as their operators.
    **dict.fromkeys(["increment", "decrement", "plusone"], Operator.ADD.value),
    "trackcharge": Operator.APPEND.value,
    "clearcharges": Operator.UNSET.value,
    "deleteuser": Operator.DELETE.value,
}


def meant(name: str) -> str | None:
    """Return the operator, or the envelope's key, that a name was probably meant to be; None if none is near.

    >>> meant("$increment"), meant("$setOnce"), meant("$addd"), meant("$merge")
    ('$add', '$set_once', '$add', None)
    """
    near = get_close_matches(_plain(name), _NAMES, n=1, cutoff=_NEAR)
    return str(_NAMES[near[0]]) if near else None


def no_operator(name: str) -> InvalidOperation:
    """Return the error for an operator that the service does not document.

    >>> print(no_operator("$increment"))
    $increment: is not an operator; did you mean $add?
    """
    guess = meant(name)
    advice = f"did you mean {guess}?" if guess else f"a property of that name belongs inside {Operator.SET}"
    return InvalidOperation(
        member_path("", name),
        f"is not an operator; {advice}",
        hint='Correct the name. Recorder(unknown_operators="ship") sends such an update as it is.',
    )
