"""A site: devices with real journals, shipped to one service in memory, and the export of its profiles."""

import json
from contextlib import closing, contextmanager
from pathlib import Path

from recorder import Journal, Lane, Recorder, Shipper, ShippingPolicy, snapshot
from recorder.model.entries import AttemptOutcome
from recorder.model.payloads import Endpoint, read_submission
from recorder.shipping.verdicts import judge
from simulator.service.ingestion import Inbox
from tests.doubles import ACCEPTED, RESET, Scripted

COUNTED = ShippingPolicy(in_doubt="hold", counted=True, settle_after=0)
UNCOUNTED = ShippingPolicy(in_doubt="hold", settle_after=0)


class Service(Scripted):
    """The service, with faults by turns: so many updates applied without an answer, or an answer."""

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

    def ship(self, recorder, policy=COUNTED, *answers):
        self.service.answers.extend(answers)
        return Shipper(recorder.journal, self.service, policy, chance=lambda: 0.0).ship()

    def write_export(self, hidden=()):
        lines = []
        for id_, profile in sorted(self.service.inbox.profiles().items()):
            properties = {
                name: value for name, value in profile.items() if not name.startswith(tuple(hidden) or "\0")
            }
            lines.append(json.dumps({"$distinct_id": id_, "$properties": properties}) + "\n")
        self.export.write_text("".join(lines), encoding="utf-8")

    def snapshot(self, name, target):
        return snapshot(self.path(name), self.folder / f"{target}.db")
