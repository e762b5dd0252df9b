"""An `atlas-db relay` process, and sockets on both of its sides."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from support.server import relay_binary

# After which a test has hung.
PATIENCE_SECONDS = 20.0


class Relay:
    """Started with arguments; `ask` sends a command and returns the answer."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [str(relay_binary()), "relay", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if not name.startswith("ATLAS_")},
        )

    def line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ports(self) -> dict[str, int]:
        """From the first line: where each link listens."""
        ready = self.line()
        assert ready["ready"] is True
        return {link["link"]: link["port"] for link in ready["links"]}

    def send(self, line: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        return self.line()

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        return self.send(json.dumps({"op": op, **fields}))

    def stats(self, link: str) -> dict[str, Any]:
        return next(found for found in self.ask("stats")["links"] if found["link"] == link)

    def wait(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)

    def close_input(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


class Target:
    """Listens, for a relay to connect to."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(PATIENCE_SECONDS)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    @contextmanager
    def connection(self, port: int) -> Iterator[tuple[socket.socket, socket.socket]]:
        """A connection through a link that listens on the port: the client's end and the target's."""
        with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as client:
            end, _ = self.listener.accept()
            with end:
                for each in (client, end):
                    each.settimeout(PATIENCE_SECONDS)
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                yield client, end

    def close(self) -> None:
        self.listener.close()


def receive(end: socket.socket, count: int) -> bytes:
    """Exactly so many bytes."""
    found = b""
    while len(found) < count:
        piece = end.recv(count - len(found))
        assert piece, f"the stream ended after {found!r}"
        found += piece
    return found
