"""The relay: takes what official SDKs send, journals it before it answers, and ships it when the network is there.

relay         `Relay`, the whole of it as a context manager
server        connections, by waitress
application   routes and answers
pages         web pages told from programs
inbox         from requests to entries
"""

from recorder.relay.relay import Relay

__all__ = ["Relay"]
