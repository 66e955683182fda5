"""A small read-only HTTP server in its own thread: ``/``, ``/metrics``, ``/healthz`` and ``/state.json``.

Clients cannot disturb training: each request has its own thread, the number of simultaneous requests is limited, slow
clients are disconnected, and nothing beyond the head of a request is read.
"""

from __future__ import annotations

import contextlib
import errno
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import (
    AF_INET6,
    AI_PASSIVE,
    IPPROTO_IPV6,
    IPV6_V6ONLY,
    SO_REUSEADDR,
    SOCK_STREAM,
    SOL_SOCKET,
    getaddrinfo,
    socket,
)
from typing import Any
from urllib.parse import parse_qs, urlsplit

from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import CollectorRegistry

from dyadnet.errors import ConfigError

SLOW = 5.0
"""Timeout in seconds for receiving a request, or for sending a piece of the response."""
MOST_CLIENTS = 32
"""Largest number of simultaneous requests; further clients are disconnected."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response to a client."""

    body: bytes
    content: str
    status: int = 200
    headers: Mapping[str, str] | None = None


Resource = Callable[[Mapping[str, str], str], Answer]
"""Takes the query and the Accept header, and returns the response."""


class MetricsServer:
    """Serves resources by path until it is closed.

    Parameters
    ----------
    host, port
        Address to listen at; port 0: any free port.
    resources
        Resources by path.

    Raises
    ------
    ConfigError
        If the server cannot listen at this address.
    """

    def __init__(self, host: str, port: int, resources: Mapping[str, Resource]) -> None:
        try:
            self._server = _Server((host, port), resources)
        except OSError as problem:
            raise _refusal(host, port, problem) from None
        except OverflowError:
            raise ConfigError("metrics.port", port, "a port from 0 to 65535") from None
        self.host, self.port = host, int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="dyadnet-metrics", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening; requests in progress may finish."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def exposition(registry: CollectorRegistry) -> Resource:
    """Return a resource that serves the metrics of a registry in the format that the client accepts."""

    def resource(query: Mapping[str, str], accept: str) -> Answer:
        encoder, content = choose_encoder(accept)
        return Answer(encoder(registry), content)

    return resource


def as_json(value: Any, status: int = 200) -> Answer:
    """Return plain values as a JSON response."""
    body = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode()
    return Answer(body + b"\n", "application/json; charset=utf-8", status)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = MOST_CLIENTS

    def __init__(self, address: tuple[str, int], resources: Mapping[str, Resource]) -> None:
        self.resources = resources
        self._slots = threading.BoundedSemaphore(MOST_CLIENTS)
        # Use the host's first address, IPv4 or IPv6; a link-local address includes its interface.
        found = getaddrinfo(*address, type=SOCK_STREAM, flags=AI_PASSIVE)[0]
        self.address_family, self._listening = found[0], found[4]
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # The base class looks up the host name, which can take seconds.
        self.socket.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        if self.address_family == AF_INET6 and self._listening[0] == "::":
            # Listen at all IPv4 addresses as well.
            with contextlib.suppress(OSError):
                self.socket.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 0)
        self.socket.bind(self._listening)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Ignore clients that disconnect or are too slow."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = SLOW
    protocol_version = "HTTP/1.0"
    server_version = "dyadnet"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer a GET request."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer a HEAD request, without the body."""
        self._answer(with_body=False)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._refuse
        raise AttributeError(name)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Do not log requests."""

    def _refuse(self) -> None:
        headers = {"Allow": "GET, HEAD"}
        self._send(Answer(b"only GET and HEAD: this is for looking\n", "text/plain", 405, headers), with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        try:
            parts = urlsplit(self.path)
            query = {key: values[-1] for key, values in parse_qs(parts.query, max_num_fields=16).items()}
        except ValueError:
            self._send(Answer(b"this request cannot be read\n", "text/plain", 400), with_body=with_body)
            return
        resource = self.server.resources.get(parts.path)
        if resource is None:
            known = ", ".join(sorted(self.server.resources))
            self._send(Answer(f"not here; there are {known}\n".encode(), "text/plain", 404), with_body=with_body)
            return
        try:
            answer = resource(query, ", ".join(self.headers.get_all("Accept", [])))
        except Exception as problem:
            # The client library also raises for an Accept header that it cannot parse.
            answer = Answer(f"{type(problem).__name__}: {problem}\n".encode(), "text/plain; charset=utf-8", 500)
        self._send(answer, with_body=with_body)

    def _send(self, answer: Answer, *, with_body: bool) -> None:
        self.send_response(answer.status)
        headers = {
            "Content-Type": answer.content,
            "Content-Length": str(len(answer.body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            **(answer.headers or {}),
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(answer.body)


def _refusal(host: str, port: int, problem: OSError) -> ConfigError:
    if problem.errno == errno.EADDRINUSE:
        return ConfigError("metrics.port", port, f"it is in use on {host}; name another, or 0 for any that is free")
    if problem.errno in (errno.EACCES, errno.EPERM):
        return ConfigError("metrics.port", port, "this user may not listen there; name one above 1023")
    return ConfigError("metrics.host", host, f"an address of this machine, or node ({problem.strerror})")
