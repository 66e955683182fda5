"""Ray clusters for tests: on this machine, and over two network namespaces with addresses of their own."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HOSTS = ("10.213.7.1", "10.213.7.2")
OUTSIDE = ("10.213.8.1", "10.213.8.2")
"""The head's address on the link to a machine that is no node, and that machine's."""
TOKEN = "a-token-for-tests-only-0123456789"
RAY = str(Path(sys.executable).with_name("ray"))
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
DYADNET = str(Path(sys.executable).with_name("dyadnet"))


@dataclass(frozen=True)
class Cluster:
    """A running cluster.

    Attributes
    ----------
    address
        Of its head.
    environment
        With the token that it accepts.
    inside
        Prefix of a command that runs on its head node.
    outside
        Prefix of a command that runs on a machine that is no node but reaches the head.
    """

    address: str
    environment: dict[str, str]
    inside: Sequence[str] = ()
    outside: Sequence[str] = ()

    def dyadnet(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command line on the head node; its own environment if any is given."""
        variables = environment or self.environment
        return subprocess.run(
            [*self.inside, DYADNET, *arguments],
            env=clean_environment() | variables,
            # Not here: Ray lets workers of this machine import from the driver's folder.
            cwd=self.environment["RAY_TMPDIR"],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )


def free_port() -> int:
    """A port of the loopback interface that nobody listens on: other tests may run on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def one_node() -> Iterator[Cluster]:
    """A head with two CPUs on this machine, which asks for a token."""
    port = free_port()
    with started(["start", "--head", f"--port={port}", "--num-cpus=2", "--include-dashboard=false"], port) as cluster:
        yield cluster


@contextlib.contextmanager
def started(arguments: Sequence[str], port: int, variables: Mapping[str, str] | None = None) -> Iterator[Cluster]:
    """What a command of Ray's starts on this machine, with further variables of the environment."""
    with _folder() as environment:
        environment |= variables or {}
        _ray(environment, *arguments)
        try:
            yield Cluster(f"127.0.0.1:{port}", environment)
        finally:
            _stop(environment)


def running(cluster: Cluster) -> Iterator[tuple[Address, int]]:
    """Address and port of everything that listens of a cluster."""
    yield from (
        (address, port) for address, port, _ in listening(lambda process: belongs(process, cluster.environment))
    )


def belongs(process: int, environment: Mapping[str, str]) -> bool:
    """Whether a process is of the cluster in this folder, by its environment, or by its files if a title hides that."""
    folder = environment["RAY_TMPDIR"]
    place = Path(f"/proc/{process}")
    if f"RAY_TMPDIR={folder}".encode() in (place / "environ").read_bytes().split(b"\0"):
        return True
    if not (place / "cmdline").read_bytes().startswith(b"ray::"):
        return False
    return any(str(file.readlink()).startswith(f"{folder}/") for file in (place / "fd").iterdir())


def listening(ours: Callable[[int], bool]) -> Iterator[tuple[Address, int, str]]:
    """Address, port and command of every listening socket of some processes."""
    owners: dict[str, str] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if ours(int(entry.name)):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:60]
                for fd in (entry / "fd").iterdir():
                    # Some are closed meanwhile; that by which they are listed is one of them.
                    with contextlib.suppress(OSError):
                        owners[str(fd.readlink())[8:-1]] = command
        except OSError:
            continue
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A" and rest[5] in owners:
                address, port = local.split(":")
                words = [int.from_bytes(bytes.fromhex(address[i : i + 8]), "little") for i in range(0, len(address), 8)]
                packed = b"".join(word.to_bytes(4, "big") for word in words)
                yield ipaddress.ip_address(packed), int(port, 16), owners[rest[5]]


@contextlib.contextmanager
def two_hosts(*, jobs: bool = False) -> Iterator[Cluster]:
    """Two nodes of two CPUs in two network namespaces, joined by one link.

    With `jobs` the head takes them, and a third namespace, which is no node, has a link to the head.
    """
    spaces = tuple(f"dyadnet-{os.getpid()}-{index}" for index in range(3 if jobs else 2))
    try:
        for space in spaces:
            _ip("netns", "add", space)
            _ip("-n", space, "link", "set", "lo", "up")
        _link((spaces[0], "dy0", HOSTS[0]), (spaces[1], "dy1", HOSTS[1]))
        if jobs:
            _link((spaces[0], "dy2", OUTSIDE[0]), (spaces[2], "dy3", OUTSIDE[1]))
        head, other, *outside = (("ip", "netns", "exec", space) for space in spaces)
        with _folder() as environment:
            try:
                own = ("--head", "--port=6379", f"--node-ip-address={HOSTS[0]}")
                board = (
                    ("--dashboard-host=0.0.0.0", "--dashboard-port=8265") if jobs else ("--include-dashboard=false",)
                )
                _ray(environment, "start", *own, *board, "--num-cpus=2", via=head)
                join = (f"--address={HOSTS[0]}:6379", f"--node-ip-address={HOSTS[1]}")
                _ray(environment, "start", *join, "--num-cpus=2", via=other)
                yield Cluster(f"{HOSTS[0]}:6379", environment, head, outside[0] if outside else ())
            finally:
                _stop(environment)
    finally:
        for space in spaces:
            subprocess.run(["ip", "netns", "delete", space], capture_output=True, check=False)


def _link(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    """Join two namespaces; each end is given by namespace, device and address."""
    _ip("link", "add", one[1], "netns", one[0], "type", "veth", "peer", "name", other[1], "netns", other[0])
    for space, device, address in (one, other):
        _ip("-n", space, "addr", "add", f"{address}/24", "dev", device)
        _ip("-n", space, "link", "set", device, "up")


def why_no_namespaces() -> str:
    """Why this machine cannot have network namespaces; empty if it can."""
    if os.geteuid() != 0:
        return "needs root"
    if shutil.which("ip") is None:
        return "needs iproute2"
    probe = f"dyadnet-probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"no network namespaces here: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "delete", probe], capture_output=True, check=False)
    return ""


@contextlib.contextmanager
def _folder() -> Iterator[dict[str, str]]:
    """Environment of a cluster whose files lie in a folder of their own; sockets want a short path."""
    folder = tempfile.mkdtemp(prefix="dy", dir="/tmp")
    try:
        yield {
            "RAY_TMPDIR": folder,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": TOKEN,
            "RAY_worker_niceness": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def heed_ctrl_c() -> None:
    """A shell's background commands ignore SIGINT, and so would what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def named(beginning: str, ancestor: int | None = None) -> list[int]:
    """Living processes whose command line begins so and that descend from a process, from this one unless given."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if entry.read_bytes().startswith(beginning.encode()) and descends(
                int(entry.parent.name), ancestor or os.getpid()
            ):
                found.append(int(entry.parent.name))
    return sorted(found)


def gone(beginning: str, seconds: float = 30.0) -> bool:
    """Whether all such processes have ended, or do within some seconds: Ray kills what hangs in its own time."""
    deadline = time.monotonic() + seconds
    while named(beginning) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not named(beginning)


def descends(process: int, ancestor: int) -> bool:
    """Whether a process is another one or was started by it or by one that it started."""
    while process > 1 and process != ancestor:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        process = int(fields[1])
    return process == ancestor


def clean_environment() -> dict[str, str]:
    """Our environment without what connects to the session that other tests share."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}


def _ray(environment: dict[str, str], *arguments: str, via: Sequence[str] = ()) -> None:
    subprocess.run(
        [*via, RAY, *arguments],
        env=clean_environment() | environment,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=120,
    )


def _stop(environment: dict[str, str]) -> None:
    """End every process of the cluster in this folder, and of no other."""
    for _ in range(3):
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ProcessLookupError):
                if belongs(int(entry.name), environment):
                    os.kill(int(entry.name), 9)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
