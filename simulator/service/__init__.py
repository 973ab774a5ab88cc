"""The local service: an HTTP server that takes what SDKs send, and fails on request.

Its parts, from the network inwards:

    server, connections    sockets, threads, scheduled faults
    tls, bodies, answers   HTTPS, request bodies, answers beside the application's
    routes, origins        the WSGI application, and who may use its own routes
    replies                the forms of an answer: a digit, JSON, a script, a pixel
    credentials, queries   HTTP Basic, and the query API
    ingestion, events      from messages to profiles, and the rules for events
    requestlog             lines of the log
    faults, late           fault schedules, delayed copies

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
