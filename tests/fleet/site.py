"""A site: devices with real journals, shipped to one service in memory, and the export of its profiles."""

import json
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from fleet import read
from fleet.export import profiles_of
from fleet.one_process import inspect
from recorder import Journal, Lane, Recorder, Shipper, ShippingPolicy, snapshot
from recorder.model.entries import AttemptOutcome
from recorder.model.payloads import Endpoint, read_submission
from recorder.shipping.verdicts import judge
from simulator.service.ingestion import Inbox
from tests.doubles import ACCEPTED, RESET, Scripted

COUNTED = ShippingPolicy(in_doubt="hold", counted=True, settle_after=0)
UNCOUNTED = ShippingPolicy(in_doubt="hold", settle_after=0)


ACCEPTED_FALSELY = replace(ACCEPTED)


class Service(Scripted):
    """The service, with faults by turns: an answer, or a number of updates that are applied without one."""

    def __init__(self):
        super().__init__()
        self.inbox = Inbox()

    def send(self, lane, body, **_):
        answer = super().send(lane, body)
        if isinstance(answer, int):
            self.take(json.loads(body)[:answer])
            return RESET
        if answer is ACCEPTED:
            self.take(json.loads(body))
        return answer

    def take(self, updates):
        body = json.dumps(updates).encode()
        self.inbox.take(Endpoint.ENGAGE, read_submission(Endpoint.ENGAGE, b"", body))

    def loses(self, updates):
        """Return a fault: as many updates of a request are applied, and all are accepted."""

        def answer(_lane, body, _timeout):
            self.take(json.loads(body)[:updates])
            return ACCEPTED_FALSELY

        return answer

    def doubles(self, lane, body, timeout):  # noqa: ARG002
        """Apply a request twice."""
        self.take(json.loads(body) * 2)
        return ACCEPTED_FALSELY

    def other_program(self, profile, **operators):
        self.take(
            [
                {
                    "$token": "T",
                    "$distinct_id": profile,
                    **{f"${name}": each for name, each in operators.items()},
                }
            ]
        )

    def write(self, body):
        return judge(self.send(Lane.PEOPLE, body)).outcome is AttemptOutcome.SHIPPED


class Site:
    """Devices by name in `folder`, and `export` of the profiles beside them."""

    def __init__(self, folder: Path):
        self.folder = folder / "fleet"
        self.folder.mkdir()
        self.export = folder / "export.jsonl"
        self.service = Service()

    def path(self, name):
        return self.folder / f"{name}.db"

    @contextmanager
    def device(self, name, token="T", clock=None):
        with closing(Journal(self.path(name), token=token, durability="process")) as journal:
            yield Recorder(token, journal, **({} if clock is None else {"clock": clock}))

    def visits(self, name, number=1, profile=None, *, policy=COUNTED, answers=(), token="T", at=None):
        """Record visits on a device, and ship them."""
        with self.device(name, token) as recorder:
            for _ in range(number):
                recorder.people_increment(profile or f"of {name}", {"visits": 1})
            self.ship(recorder, policy, *answers, at=at)

    def fence(self, name):
        with closing(Journal(self.path(name))) as journal:
            return journal.write_fences(self.service.write)

    def rows(self, name):
        return read(self.path(name))

    def inspect(self, *, export=True, exported_at=None):
        """Return a report about all files of the folder."""
        files = [str(path) for path in sorted(self.folder.iterdir()) if path.suffix in {".db", ".jsonl"}]
        return inspect(files, profiles_of(str(self.export)) if export else None, exported_at=exported_at)

    def ship(self, recorder, policy=COUNTED, *answers, at=None):
        self.service.answers.extend(answers)
        clock = time.time if at is None else lambda: at
        return Shipper(recorder.journal, self.service, policy, clock=clock, chance=lambda: 0.0).ship()

    def write_export(self, hidden=()):
        lines = []
        for id_, profile in sorted(self.service.inbox.profiles().items()):
            properties = {name: value for name, value in profile.items() if name not in hidden}
            lines.append(json.dumps({"$distinct_id": id_, "$properties": properties}) + "\n")
        self.export.write_text("".join(lines), encoding="utf-8")

    def snapshot(self, name, target):
        return snapshot(self.path(name), self.folder / f"{target}.db")
