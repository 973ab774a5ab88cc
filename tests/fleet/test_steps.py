"""The three steps, by hand."""

import pickle

from fleet import fold, join, read
from recorder import Recorder, Shipper
from tests.doubles import Scripted


def test_rows_are_plain_values(tmp_path):
    path = tmp_path / "till.db"
    with Recorder("T", path) as recorder:
        recorder.people_increment("ada", {"visits": 2})
        recorder.people_set("ada", {"plan": "pro"})
        Shipper(recorder.journal, Scripted()).ship()
        recorder.people_set("bob", {"plan": "pro"})
    rows = pickle.loads(pickle.dumps(read(path)))  # noqa: S301
    assert (rows.device.unsent, rows.device.token) == (1, "T")
    joined = join(fold(rows.profiles), [("ada", {"visits": 3, "plan": "pro"}), ("eve", {})])
    (found,) = joined.findings
    assert (found.profile, found.journal, found.finding, found.name) == (
        "ada",
        str(path),
        "differs",
        "visits",
    )
    assert (found.expected, found.shown, joined.profiles) == ([2], [3], 1)
