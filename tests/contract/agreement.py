"""One question for all SDKs: does a service hold what was meant, and what the simulator predicts of the messages?"""

import json

from simulator import Simulator

UPDATES = {"/engage", "/groups"}


def spelled(value):
    """JSON tells 1 from 1.0, 0.0 from -0.0 and true from 1."""
    return json.dumps(value, sort_keys=True)


def held(simulator):
    """Return users and groups of a simulator, in a service's shape."""
    groups = {}
    for (key, id_), profile in simulator.groups.items():
        groups.setdefault(key, {})[id_] = dict(profile)
    return {id_: dict(profile) for id_, profile in simulator.profiles.items()}, groups


def assert_agreement(service, token, users, groups):
    """Compare what a service holds with what its accepted updates mean to a simulator, and with what was meant."""
    arrived = service.messages("accepted", token)
    predicted = Simulator.from_messages(one.message for one in arrived if one.endpoint in UPDATES)
    assert predicted.rejected == ()
    for found in ((service.profiles(token), service.groups(token)), held(predicted)):
        assert spelled(found[0]) == spelled(users)
        assert spelled(found[1]) == spelled(groups)


def events(service, token):
    """Return the names of accepted events, in order of arrival."""
    return [
        one.message["event"] for one in service.messages("accepted", token) if one.endpoint not in UPDATES
    ]
