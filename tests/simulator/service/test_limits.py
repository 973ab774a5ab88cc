"""What the service does when connections or descriptors run out."""

import json
import select
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from subprocess import PIPE

import requests

from simulator.service.connections import MAX_CONNECTIONS
from tests.services import eventually
from tests.simulator.service.senders import TIMEOUT, connected, posted, raw, send, update


def test_surplus_connection_is_answered_503(service, http):
    with ExitStack() as idle:
        held = [idle.enter_context(connected(service)) for _ in range(MAX_CONNECTIONS)]
        wire = idle.enter_context(connected(service))
        select.select([wire], [], [], TIMEOUT)
        for part in (b"POST /engage HTTP/1.1\r\n", b"Content-Length: 2\r\n\r\n", b"[]"):
            wire.sendall(part)  # a sender need not notice before it has sent everything
        head, _, body = wire.recv(65_536).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1" in head
        said = json.loads(body)
        assert (said["status"], "connections are in use" in said["error"]) == (0, True)
        assert send(http, service, [update()]).status_code == 503
        assert threading.active_count() < MAX_CONNECTIONS + 20
        assert service.messages() == []
        held[0].close()
        eventually(lambda: raw(service, posted(update())).endswith(b"\r\n\r\n1"))
    eventually(lambda: send(http, service, [update()]).status_code == 200)


FEW_DESCRIPTORS = """if True:
    import resource, sys, threading, time
    from simulator.service import Service

    accepts = []

    def note(frame, event, called):
        if event == "c_call" and called.__name__ == "_accept":
            accepts.append(time.monotonic())

    threading.setprofile(note)
    with Service() as service:
        resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
        print(service.url, flush=True)
        for line in sys.stdin:
            print(len(accepts), accepts[-1] - accepts[-6] if len(accepts) > 5 else 0, flush=True)
"""


def test_lack_of_descriptors_backs_off():
    """Connections that cannot be accepted wait in the kernel, which reports them again and again."""
    command = [sys.executable, "-c", FEW_DESCRIPTORS]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as process, ExitStack() as idle:
        port = int(process.stdout.readline().rsplit(":", 1)[1])

        def accepts():
            process.stdin.write("\n")
            process.stdin.flush()
            number, seconds = process.stdout.readline().split()
            return int(number), float(seconds)

        for _ in range(20):
            idle.enter_context(socket.create_connection(("127.0.0.1", port), TIMEOUT))
        eventually(lambda: accepts()[0] > 17)
        assert accepts()[1] > 0.3  # of the last five
        idle.close()
        url = f"http://127.0.0.1:{port}/"
        eventually(lambda: requests.get(url, timeout=TIMEOUT).status_code == 200)
        process.stdin.close()
        assert process.wait(TIMEOUT) == 0
