"""The simulator itself, asked in JSON lines."""

import json
import sys

from simulator.conformance import predict

NAMING = {"$distinct_id", "$group_key", "$group_id"}

for line in sys.stdin:
    asked = json.loads(line)
    given = {} if asked["state"] is None else {"-": asked["state"]}
    message = {name: value for name, value in asked["message"].items() if name not in NAMING}
    profiles, _ = predict(given, [{"$distinct_id": "-", **message}])
    print(json.dumps({"n": asked["n"], "state": next(iter(profiles.values()), None)}), flush=True)
