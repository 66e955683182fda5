"""Whatever clients do, they get an answer or are hung up on, and others do not notice."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from dyadnet.config import RunConfig
from dyadnet.config.metrics import MetricsSpec
from dyadnet.errors import ConfigError
from dyadnet.telemetry import server
from dyadnet.telemetry.endpoint import Endpoint, node_address
from tests.telemetry.runs import fetch, settings


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Shows one run that has not begun."""
    with Endpoint(MetricsSpec(port=0)) as found:
        found.add(RunConfig.read(settings()), "waiting")
        yield found


def said(endpoint: Endpoint, request: bytes) -> bytes:
    """Everything that comes back for raw bytes."""
    host, port = endpoint.address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def test_a_scrape_during_start_up_is_answered(endpoint: Endpoint) -> None:
    status, content, body = fetch(f"http://{endpoint.address}/metrics")
    assert (status, content) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert 'dyadnet_run_state{model="sshm",run="waiting",state="starting"} 1.0' in body
    assert "nan" not in body.lower()


def test_the_format_is_negotiated(endpoint: Endpoint) -> None:
    status, content, body = fetch(f"http://{endpoint.address}/metrics", "application/openmetrics-text; version=1.0.0")
    assert status == 200
    assert content.startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith("# EOF\n")


@pytest.mark.parametrize("accept", ["text/plain;version=nonsense", "application/openmetrics-text; version=x.y", ",;=,"])
def test_an_accept_header_that_makes_no_sense_is_answered(endpoint: Endpoint, accept: str) -> None:
    assert fetch(f"http://{endpoint.address}/metrics", accept)[0] in (200, 500)


def test_health_is_json(endpoint: Endpoint) -> None:
    status, content, body = fetch(f"http://{endpoint.address}/healthz")
    assert (status, content) == (200, "application/json; charset=utf-8")
    (run,) = json.loads(body)["runs"]
    assert run["run"] == "waiting"
    assert run["state"] == "starting"


def test_a_run_that_failed_is_unhealthy(endpoint: Endpoint) -> None:
    endpoint.runs()[0].end("failed", "for a reason")
    status, _, body = fetch(f"http://{endpoint.address}/healthz")
    assert status == 503
    assert json.loads(body)["runs"][0]["why"] == "for a reason"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"])
def test_only_looking_is_allowed(endpoint: Endpoint, method: str) -> None:
    answer = said(endpoint, f"{method} /metrics HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    assert answer.startswith(b"HTTP/1.0 405 ")
    assert b"Allow: GET, HEAD" in answer


def test_head_has_no_body(endpoint: Endpoint) -> None:
    head, _, body = said(endpoint, b"HEAD /metrics HTTP/1.1\r\n\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 ")
    assert body == b""


@pytest.mark.parametrize(
    "request_",
    [
        b"",
        b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
        b"GET /state.json?" + b"a=1&" * 50 + b" HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        bytes(range(256)),
    ],
)
def test_a_malformed_request_is_refused_or_hung_up_on(endpoint: Endpoint, request_: bytes) -> None:
    answer = said(endpoint, request_)
    assert b" 200 " not in answer[:20]
    assert b"Traceback" not in answer
    assert fetch(f"http://{endpoint.address}/healthz")[0] == 200


def test_an_unknown_path_says_what_there_is(endpoint: Endpoint) -> None:
    status, _, body = fetch(f"http://{endpoint.address}/../../etc/passwd")
    assert status == 404
    assert "/metrics" in body


def test_an_unknown_run_is_not_found(endpoint: Endpoint) -> None:
    status, _, body = fetch(f"http://{endpoint.address}/state.json?run=other")
    assert status == 404
    assert json.loads(body) == {"runs": ["waiting"], "error": "no run other"}


def test_a_slow_client_is_hung_up_on(monkeypatch: pytest.MonkeyPatch, endpoint: Endpoint) -> None:
    monkeypatch.setattr(server._Handler, "timeout", 0.2)
    host, port = endpoint.address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"GET /metrics HT")
        assert fetch(f"http://{endpoint.address}/healthz")[0] == 200
        assert connection.recv(100) == b""


def test_of_too_many_clients_the_last_is_hung_up_on_and_the_server_recovers(endpoint: Endpoint) -> None:
    host, port = endpoint.address.split(":")
    idle = [socket.create_connection((host, int(port)), timeout=10) for _ in range(server.MOST_CLIENTS)]
    try:
        with socket.create_connection((host, int(port)), timeout=10) as one_more:
            assert one_more.recv(100) == b""
    finally:
        for connection in idle:
            connection.close()
    for _ in range(50):
        try:
            assert fetch(f"http://{endpoint.address}/healthz")[0] == 200
            return
        except OSError:
            continue
    pytest.fail("it did not recover")


def test_many_scrapes_at_once_are_all_answered(endpoint: Endpoint) -> None:
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch(f"http://{endpoint.address}/metrics")[0])) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == [200] * 8


def test_a_port_in_use_is_refused_in_one_line(endpoint: Endpoint) -> None:
    port = int(endpoint.address.split(":")[1])
    with pytest.raises(
        ConfigError, match=rf"^metrics\.port: {port} is not legal; it is in use on 127\.0\.0\.1; [^\n]*$"
    ):
        Endpoint(MetricsSpec(port=port))


@pytest.mark.parametrize("host", ["192.0.2.77", "no-such-host.invalid"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"metrics\.host: '{host}' is not legal; an address of this machine, or node"
    ):
        Endpoint(MetricsSpec(port=0, host=host))


def test_node_listens_on_the_nodes_own_address_only() -> None:
    with Endpoint(MetricsSpec(port=0, host="node")) as endpoint:
        assert endpoint.address.split(":")[0] == node_address()
        assert fetch(f"http://{endpoint.address}/healthz")[0] == 200


def no_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return True
    return False


@pytest.mark.skipif(no_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize(
    ("host", "reached"),
    [("::1", ["[::1]"]), ("0:0:0:0:0:0:0:1", ["[::1]"]), ("::", ["[::1]", "127.0.0.1"]), ("localhost", ["localhost"])],
)
def test_either_kind_of_address_serves(host: str, reached: list[str]) -> None:
    with Endpoint(MetricsSpec(port=0, host=host)) as endpoint:
        port = endpoint.address.rpartition(":")[2]
        for name in [*reached, endpoint.address.rpartition(":")[0]]:
            assert fetch(f"http://{name}:{port}/healthz")[0] == 200
    with pytest.raises(OSError, match="refused"):
        fetch(f"http://{reached[0]}:{port}/healthz")


@pytest.mark.parametrize("host", ["2001:db8::7", "[::1]", "fe80::1%nowhere"])
def test_an_address_of_ipv6_that_is_not_ours_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match=r"^metrics\.host: .* an address of this machine, or node"):
        Endpoint(MetricsSpec(port=0, host=host))


def test_once_closed_nothing_listens() -> None:
    with Endpoint(MetricsSpec(port=0)) as endpoint:
        address = endpoint.address
    with pytest.raises(OSError, match="refused"):
        fetch(f"http://{address}/healthz")
