"""A transport of one's own: every bit arrives, and what fails in it is named."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import dyadnet as dn
from dyadnet.config.json_schema import schema
from dyadnet.config.transports import TRANSPORTS, Transport
from tests.doors.engines import read, trained

TEXT = Path(__file__).parents[2] / "docs" / "extending" / "transport.md"


@pytest.fixture
def sockets() -> Iterator[type[Any]]:
    """The transport of the page, which carries."""
    (text,) = re.findall(r"```python\n(.*?)```", TEXT.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, TEXT.name, "exec", dont_inherit=True), names)
    yield names["Sockets"]
    TRANSPORTS.forget("sockets")


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("lanes", [1, 2])
def test_a_run_has_the_bits_of_every_other_transport(sockets: type[Any], lanes: int, tmp_path: Path) -> None:
    dynamics = {"lanes": lanes, "delay": {"kind": "uniform", "high": 3}, "clock": {"kind": "bernoulli", "p": 0.6}}
    local = trained(tmp_path, dynamics=dynamics)
    config = read(dynamics=dynamics, engine="ray", cluster={"actors": 3, "transport": "sockets"})
    ray = dn.train(config, tmp_path / "ray")
    assert ray.weights_sha256 == local.weights_sha256
    assert "sockets" in (ray.path / "config.yaml").read_text(encoding="utf-8")


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("where", ["listen", "connect", "send"])
def test_what_one_raises_is_named(where: str, tmp_path: Path) -> None:
    class Broken(Transport):
        def listen(self, node: str) -> str:
            return self._reached("listen", node)

        def connect(self, addresses: Sequence[Any]) -> None:
            self._reached("connect", "")

        def send(self, host: int, packet: bytes) -> None:
            self._reached("send", "")

        def close(self) -> None:
            pass

        def _reached(self, step: str, value: str) -> str:
            if step == where:
                raise OSError(f"no cable at {step}")
            return value

    dn.register("transport", "broken")(Broken)
    try:
        config = read(engine="ray", cluster={"actors": 2, "transport": "broken"}, recovery={"actor_failures": 0})
        with pytest.raises(dn.DyadnetError, match=f"OSError: no cable at {where}"):
            dn.train(config, tmp_path / "run")
    finally:
        TRANSPORTS.forget("broken")


def test_what_is_no_transport_is_refused() -> None:
    class Half(Transport):
        def listen(self, node: str) -> str:
            return node

    def other(host: int, deliver: Callable[[int, bytes], None]) -> None:
        pass

    with pytest.raises(dn.UsageError, match="it lacks close and connect and send"):
        dn.register("transport", "half")(Half)
    with pytest.raises(dn.UsageError, match=r"derives from dyadnet\.config\.transports\.Transport"):
        dn.register("transport", "other")(other)
    with pytest.raises(dn.UsageError, match="this name is built in"):
        dn.register("transport", "fast")(Half)
    with pytest.raises(dn.ConfigError, match=r"cluster\.transport: 'fats'.*did you mean fast"):
        read(engine="ray", cluster={"transport": "fats"})


def test_editors_know_the_names() -> None:
    assert schema()["$defs"]["ClusterSpec"]["properties"]["transport"]["examples"] == ["fast", "ray"]
