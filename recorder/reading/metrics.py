"""The state of journals as OpenMetrics, for Prometheus and others who ask again and again. Pure.

Source: the OpenMetrics specification, version 1.0.0.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from recorder.model.entries import State
from recorder.model.reports import Statistics
from recorder.model.shipping import ShipperStatus
from recorder.model.text import printable
from recorder.reading.sentence import SHIPPING_STATES, Shipping

__all__ = ["MEDIA_TYPE", "Family", "Known", "families_of", "openmetrics"]

MEDIA_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


Kind = Literal["counter", "gauge"]  # node_exporter refuses a file that has any other
Samples = Sequence[tuple[Mapping[str, str], float]]
"""Labels and value of each."""


class Family(NamedTuple):
    """Samples of one name.

    Attributes:
        name: Without the suffix of a counter.
        kind: Its type.
        about: Its help text.
        samples: Labels and value of each.
    """

    name: str
    kind: Kind
    about: str
    samples: Samples


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


class Known(NamedTuple):
    """State of a journal.

    Attributes:
        counts: The accounts.
        shipping: The state of shipping.
        shipper: The last shipper.
    """

    counts: Statistics
    shipping: Shipping
    shipper: ShipperStatus


def families_of(journals: Mapping[str, Known]) -> list[Family]:
    """Return what is known of some journals, by the name that becomes their label."""
    return [
        Family(
            name,
            kind,
            about,
            [
                ({"journal": journal, **labels}, value)
                for journal, known in journals.items()
                for labels, value in samples(known)
            ],
        )
        for name, kind, about, samples in _FAMILIES
    ]


def _states(known: Known) -> Samples:
    return [({"state": state.value}, getattr(known.counts, state.value)) for state in State]


def _oldest(known: Known) -> Samples:
    seconds = known.counts.oldest_pending_seconds
    return [] if seconds is None else [({}, seconds)]


def _shipping(known: Known) -> Samples:
    return [({"restante_shipping": state}, int(known.shipping.state == state)) for state in SHIPPING_STATES]


def _failures(known: Known) -> Samples:
    return [({"lane": lane.lane.value}, lane.failures) for lane in known.shipper.lanes]


_FAMILIES: tuple[tuple[str, Kind, str, Callable[[Known], Samples]], ...] = (
    (
        "restante_recorded_entries",
        "counter",
        "Entries recorded.",
        lambda known: [({}, known.counts.recorded)],
    ),
    ("restante_entries", "gauge", "Entries by state; their sum is what was recorded.", _states),
    (
        "restante_possibly_twice_entries",
        "counter",
        "Entries that may have been applied twice.",
        lambda known: [({}, known.counts.possibly_twice)],
    ),
    (
        "restante_out_of_order_entries",
        "counter",
        "Entries sent after later ones of their profile.",
        lambda known: [({}, known.counts.out_of_order)],
    ),
    ("restante_oldest_unsent_seconds", "gauge", "Age of the oldest entry still to be sent.", _oldest),
    (
        "restante_journal_bytes",
        "gauge",
        "Size of the journal with its log.",
        lambda known: [({}, known.counts.bytes)],
    ),
    (
        "restante_shipping",
        "gauge",
        "1 for the state of shipping, the worst of the lanes; 0 for others.",
        _shipping,
    ),
    ("restante_lane_failures", "gauge", "Tries in a row that did not go through.", _failures),
)
