"""The state of journals as OpenMetrics, for Prometheus and others who ask again and again. Pure.

Source: the OpenMetrics specification, version 1.0.0.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from recorder.model.entries import State
from recorder.model.reports import Statistics
from recorder.model.shipping import ShipperStatus
from recorder.model.text import printable
from recorder.reading.sentence import SHIPPING_STATES, Shipping

__all__ = ["MEDIA_TYPE", "Family", "families_of", "openmetrics"]

MEDIA_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class Family(NamedTuple):
    """Samples of one name.

    Attributes:
        name: Without the suffix of a counter.
        kind: Its type.
        about: Its help text.
        samples: Labels and value of each.
    """

    name: str
    kind: Literal["counter", "gauge", "stateset"]
    about: str
    samples: Sequence[tuple[Mapping[str, str], float]]


def openmetrics(families: Iterable[Family]) -> str:
    r"""Return families as text; those without samples are left out.

    >>> print(openmetrics([Family("tills", "gauge", "Open ones.", [({"at": 'a"b'}, 2)])]), end="")
    # TYPE tills gauge
    # HELP tills Open ones.
    tills{at="a\"b"} 2
    # EOF
    """
    lines = []
    for family in families:
        if family.samples:
            lines += [f"# TYPE {family.name} {family.kind}", f"# HELP {family.name} {family.about}"]
        name = family.name + "_total" * (family.kind == "counter")
        for labels, value in family.samples:
            shown = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
            lines.append(f"{name}{{{shown}}} {value}")
    return "\n".join([*lines, "# EOF\n"])


def _escaped(label: str) -> str:
    return printable(label).translate(_ESCAPES)


def families_of(journals: Mapping[str, tuple[Statistics, Shipping, ShipperStatus]]) -> list[Family]:
    """Return what is known of some journals.

    Args:
        journals: By the name that becomes their label: accounts, state of shipping, and the last shipper.
    """
    named = [({"journal": name}, *known) for name, known in journals.items()]
    counts = [(label, counted) for label, counted, _, _ in named]
    ages = [(label, counted.oldest_pending_seconds) for label, counted in counts]
    return [
        Family(
            "restante_recorded_entries",
            "counter",
            "Entries recorded.",
            [(label, counted.recorded) for label, counted in counts],
        ),
        Family(
            "restante_entries",
            "gauge",
            "Entries by state; their sum is what was recorded.",
            [
                (label | {"state": state.value}, getattr(counted, state.value))
                for label, counted in counts
                for state in State
            ],
        ),
        Family(
            "restante_possibly_twice_entries",
            "counter",
            "Entries that may have been applied twice.",
            [(label, counted.possibly_twice) for label, counted in counts],
        ),
        Family(
            "restante_out_of_order_entries",
            "counter",
            "Entries sent after later ones of their profile.",
            [(label, counted.out_of_order) for label, counted in counts],
        ),
        Family(
            "restante_oldest_unsent_seconds",
            "gauge",
            "Age of the oldest entry still to be sent.",
            [(label, seconds) for label, seconds in ages if seconds is not None],
        ),
        Family(
            "restante_journal_bytes",
            "gauge",
            "Size of the journal with its log.",
            [(label, counted.bytes) for label, counted in counts],
        ),
        Family(
            "restante_shipping",
            "stateset",
            "State of shipping, the worst of the lanes.",
            [
                (label | {"restante_shipping": state}, int(shipping.state == state))
                for label, _, shipping, _ in named
                for state in SHIPPING_STATES
            ],
        ),
        Family(
            "restante_lane_failures",
            "gauge",
            "Tries in a row that did not go through.",
            [
                (label | {"lane": lane.lane.value}, lane.failures)
                for label, _, _, shipper in named
                for lane in shipper.lanes
            ],
        ),
    ]
