"""The official browser SDK in a headless Chromium: every call, against any base URL, and what its calls mean."""

import json
import shutil
import subprocess
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from urllib.parse import urlencode

import pytest

from tests.contract.agreement import assert_agreement
from tests.contract.node_sdk import package

PAGES = Path(__file__).parent / "sdks"
TIMEOUT = 120
MODES = ["plain", "verbose", "get", "json", "preflight", "script", "img", "batched"]
UPDATES_SENT = 34

WHEN = "2026-01-02T03:04:05"
ADA = {
    "plan": "pro",
    "n": 2.5,
    "since": WHEN,
    "name": "Ådä 🌳",
    "huge": 1e21,  # as JavaScript writes it, and so a float from there on
    "large": 2**53,
    "nested": {"a": [1, None, True, {"b": ""}]},
    "größe 🌳": '+/=&% "<>\\',
    "nothing": None,  # JSON has no NaN
    "first": "harbour",
    "second": [],
    "visits": 3,
    "list": [["b", "🌳"], "c"],
    "other": [],
    "tags": ["one", "two"],
    "$transactions": [{"$amount": 29.99}],
    "company": ["acme", "initech"],
}
USERS = {"ada": ADA, "bob": {"$transactions": []}}
GROUPS = {"company": {"acme": {"sites": 2, "größe 🌳": "L", "since": WHEN, "tags": ["y"]}}}
EVENTS = [
    "$identify",
    "opened",
    "paid",
    "$mp_web_page_view",
    "$identify",  # as bob
    "$identify",  # as the one who is deleted
    "$create_alias",
    "$identify",  # which follows an alias once that is answered
]

AUTOMATIC = {"$browser", "$browser_version", "$os", "$initial_referrer", "$initial_referring_domain"}
"""Properties that the SDK adds to those that a page sets."""

FLAGS = [
    "--headless",
    "--no-sandbox",  # for root; the pages are ours
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


class Browser:
    """A Chromium that visits one page after another; each tells when it is done, and asks where to go next.

    Args:
        profile: A folder of its own, for what it keeps.

    Attributes:
        origin: Where its pages come from, once it runs.
    """

    def __init__(self, profile):
        names = ("chromium", "chromium-browser", "google-chrome")
        self._program = next(filter(None, map(shutil.which, names)), None)
        if self._program is None:
            pytest.skip("chromium is not installed")
        sdk = package("mixpanel-browser") / "dist" / "mixpanel.umd.js"
        files = {"/sdk.js": sdk, **{f"/{path.name}": path for path in PAGES.iterdir()}}
        self._profile = profile
        self._visits, self._reports = Queue(), Queue()
        self._pages = partial(_Pages, files, self._visits, self._reports)

    def __enter__(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._pages)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        self._process = subprocess.Popen(
            [self._program, *FLAGS, f"--user-data-dir={self._profile}", f"{self.origin}/left.html"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._reports.get(timeout=TIMEOUT)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._visits.put("/left.html")  # answers the request that waits for it
        self._process.kill()
        self._process.wait(TIMEOUT)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(TIMEOUT)

    def visit(self, url, token, mode):
        """Open a page whose SDK sends to a base URL, and return its report; the page stays until the next visit."""
        self._visits.put("/page.html?" + urlencode({"url": url, "token": token, "mode": mode}))
        return self._reports.get(timeout=TIMEOUT)


def assert_meant(service, token):
    """The service holds what was meant, beside what the SDK adds."""
    found = service.profiles(token)
    added = {id_: {name: found[id_][name] for name in AUTOMATIC & found[id_].keys()} for id_ in USERS}
    assert added["ada"].keys() == AUTOMATIC
    users = {id_: {**added[id_], **profile} for id_, profile in USERS.items()}
    assert_agreement(service, token, users, GROUPS)


class _Pages(BaseHTTPRequestHandler):
    """Serves the pages, takes their reports, and answers where to go next once that is known."""

    def __init__(self, files, visits, reports, *connection):
        self._files, self._visits, self._reports = files, visits, reports
        super().__init__(*connection)

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/next":
            self._answer(self._visits.get().encode(), "text/plain")
        elif path in self._files:
            kind = "text/javascript" if path.endswith(".js") else "text/html"
            self._answer(self._files[path].read_bytes(), kind)
        else:
            self.send_error(404)

    def do_POST(self):
        self._reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer(b"", "text/plain")

    def _answer(self, body, kind):
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Keep quiet."""
