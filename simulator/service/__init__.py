"""The local service: an HTTP server that takes what SDKs send, and fails on request.

Its parts, from the network inwards:

    server, connections    sockets, threads, scheduled faults
    tls, bodies, answers   HTTPS, request bodies, answers as werkzeug has them
    routes, origins        the WSGI application, and who may use its own routes
    credentials, queries   HTTP Basic, and the query API
    ingestion              from messages to profiles
    faults, late           fault schedules, delayed copies

What it shares with the relay, payloads, rules for events and forms of answers, is in `recorder.model`.

`Service` needs werkzeug, and trustme for HTTPS (``pip install 'restante[service]'``), and is imported on first use;
`faults` needs nothing.
"""

from typing import TYPE_CHECKING

__all__ = ["Service"]

if TYPE_CHECKING:
    from simulator.service.server import Service
else:  # hidden from type checkers, which report unknown names only where no __getattr__ could have them

    def __getattr__(name: str) -> object:
        """Import `Service` on first use (PEP 562)."""
        if name != "Service":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from simulator.service.server import Service

        return Service
