"""What docs/security.md promises: who listens where, what is never unpickled, and where no secret is."""

from __future__ import annotations

import ast
import gc
import ipaddress
import json
import os
import pickle
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import dyadnet as dn
from dyadnet.config import RunConfig
from dyadnet.config.overrides import read_yaml
from dyadnet.data import load
from dyadnet.dynamics.messages import MessageError
from dyadnet.runs.folder import read_config
from dyadnet.runs.watcher import Silent
from dyadnet_actors.hosts import orders
from dyadnet_actors.transports import notices as letters
from dyadnet_actors.transports.endpoint import HostEndpoint, PeerNetwork
from tests.actors import clusters
from tests.actors.clusters import Address, descends
from tests.actors.coordination.test_lockstep import settings_of

ROOT = Path(__file__).parents[3]
SOURCES = sorted((ROOT / "dyadnet").rglob("*.py")) + sorted((ROOT / "actors").rglob("*.py"))


def listening() -> Iterator[tuple[Address, int, str]]:
    """Address, port and command of every listening socket of this process and its descendants."""
    yield from clusters.listening(lambda process: descends(process, os.getpid()))


class Look(Silent):
    """Looks around in the middle of a run."""

    def __init__(self) -> None:
        self.found: list[tuple[Address, int, str]] = []

    def minibatch(self, epoch: int, index: int, loss: float, accuracy: float, sweeps: float) -> None:
        """See `ProgressCallback`."""
        self.found = self.found or list(listening())


@pytest.mark.usefixtures("ray_session")
def test_on_one_machine_everything_listens_on_the_loopback_interface(tmp_path: Path) -> None:
    look = Look()
    values = settings_of(engine="ray", learning__epochs=3, metrics__port=0, cluster={"actors": 2})
    dn.train(RunConfig.read(values), tmp_path / "run", look)
    assert len(look.found) > 5
    assert any("CoordinatorActor" in command for _, _, command in look.found)
    for address, port, command in look.found:
        plain = getattr(address, "ipv4_mapped", None) or address
        assert plain.is_loopback, f"{command} listens on {address}:{port}"


def test_an_address_that_is_not_ours_is_refused_and_nothing_stays_open() -> None:
    before = list(Path("/proc/self/fd").iterdir())
    endpoint = HostEndpoint(0, "h1", lambda *packet: None)
    with pytest.raises(dn.ConfigError, match=r"cluster\.ports: '20000-20999' .* tcp://192\.0\.2\.1:\d+ cannot be op"):
        endpoint.open(PeerNetwork("192.0.2.1", (20000, 20999), 1 << 16, False))
    endpoint.close()
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) <= len(before)


@pytest.mark.parametrize("host", ["127.0.0.3", "::1"])
@pytest.mark.parametrize("insecure", [False, True])
def test_for_other_machines_the_nodes_own_address_listens_and_no_other(host: str, insecure: bool) -> None:
    before = {(address, port) for address, port, _ in listening()}
    endpoint = HostEndpoint(0, "h1", lambda *packet: None)
    try:
        endpoint.open(PeerNetwork(host, (20000, 20999), 1 << 16, insecure))
        found = {(address, port) for address, port, _ in listening()} - before
        assert {address for address, _ in found} == {ipaddress.ip_address(host)}
        (port,) = {port for _, port in found}
        assert 20000 <= port <= 20999
        assert endpoint.card.address.endswith(f":{port}")
    finally:
        endpoint.close()


@pytest.mark.usefixtures("ray_session")
def test_no_secret_is_written_down(tmp_path: Path) -> None:
    token = os.environ.get("RAY_AUTH_TOKEN", "")
    import ray

    assert ray.is_initialized()
    values = settings_of(engine="ray", faults=["kill:block=h1,minibatch=2"], cluster={"actors": 2})
    dn.train(RunConfig.read(values), tmp_path / "run")
    written = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert {path.name for path in written} >= {"config.yaml", "machinery.jsonl", "metrics.jsonl", "events.jsonl"}
    assert len(token) >= 32
    session = Path(ray._private.worker._global_node.get_session_dir_path())
    logs = [path for path in (session / "logs").rglob("*") if path.is_file()]
    assert any(path.name.startswith("worker-") for path in logs)
    for path in [*written, *logs]:
        assert token.encode() not in path.read_bytes(), path


def test_nothing_unpickles() -> None:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not names & {"pickle", "cloudpickle", "dill", "shelve", "marshal", "joblib"}, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                flags = {keyword.arg: keyword.value for keyword in node.keywords}
                if node.func.attr == "load" and getattr(node.func.value, "id", "") == "np":
                    allow = flags.get("allow_pickle")
                    assert isinstance(allow, ast.Constant), f"{path}:{node.lineno}"
                    assert allow.value is False, f"{path}:{node.lineno}"


class Bomb:
    """Does something when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return (os.putenv, ("EXPLODED", "1"))


@pytest.mark.parametrize("unseal", [orders.read_order, letters.unpack])
def test_a_pickle_on_the_wire_is_refused(unseal: object) -> None:
    with pytest.raises(MessageError):
        unseal(pickle.dumps(Bomb()))  # type: ignore[operator]


def test_a_pickle_in_place_of_data_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(dn.DyadnetError, match=r"data\.npz"):
        load(str(path))


def test_yaml_makes_no_objects(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("!!python/object/apply:os.putenv [EXPLODED, '1']")
    with pytest.raises(dn.ConfigError, match="not YAML"):
        read_yaml(path)
    with pytest.raises(dn.DyadnetError, match="not YAML"):
        read_config(tmp_path)
    for source in SOURCES:
        text = source.read_text(encoding="utf-8")
        assert "yaml.load(" not in text
        assert "yaml.unsafe" not in text


def test_the_configuration_that_is_written_down_holds_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = secrets.token_hex(16)
    monkeypatch.setenv("RAY_AUTH_TOKEN", secret)
    config = RunConfig.read(settings_of())
    assert secret not in config.to_yaml()
    assert secret not in json.dumps(yaml.safe_load(config.to_yaml()))
