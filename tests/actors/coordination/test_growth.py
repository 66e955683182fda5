"""``dyadnet bench growth``: costs of chains of several lengths, and what they hold."""

from __future__ import annotations

import json

import pytest

from dyadnet.bench.growth import configuration, held
from dyadnet.errors import ConfigError
from dyadnet.network.topology import Topology
from dyadnet_actors.bench.growth import slopes
from dyadnet_actors.cli.bench import growth


def test_a_chain_has_as_many_equal_blocks_as_are_asked_for() -> None:
    topology = Topology(configuration("hm", 5, 7, 4, 1).network)
    assert [block.size for block in topology.blocks.values()] == [7] * 5
    assert len(topology.links) == 4


def test_what_a_chain_holds_grows_in_a_straight_line() -> None:
    sizes = (4, 12, 20)
    first, second = slopes(sizes, [held("sshm", size, 40, 32, 1) for size in sizes])
    assert first > 40 * 40 * 4
    assert second == pytest.approx(first, rel=0.15)


@pytest.mark.usefixtures("ray_session")
def test_both_engines_are_measured_and_compared_with_the_first_chain(capsys: pytest.CaptureFixture[str]) -> None:
    growth(
        blocks="2,5",
        neurons=8,
        model="sshm",
        minibatch=6,
        lanes=2,
        number=2,
        sweeps=20,
        repetitions=1,
        address=None,
        as_json=True,
    )
    found = json.loads(capsys.readouterr().out)
    first, second = found["rows"]
    assert (first["blocks"], second["blocks"]) == (2, 5)
    assert second["links_ratio"] == pytest.approx(1.6)
    for name in ("local", "actors", "coordinator"):
        assert first[name]["ratio"] == 1.0
        assert second[name]["ratio"] == pytest.approx(second[name]["cost_s"] / first[name]["cost_s"])
    assert second["memory"]["local"] > first["memory"]["local"]
    assert found["machine"]["cores"] >= 1


def test_local_growth_is_beside_that_of_bare_products(capsys: pytest.CaptureFixture[str]) -> None:
    growth(
        blocks="2,5", neurons=8, model="sshm", minibatch=6, lanes=2, sweeps=20, repetitions=1, local=True, as_json=True
    )
    first, second = json.loads(capsys.readouterr().out)["rows"]
    assert (first["blocks"], second["blocks"]) == (2, 5)
    assert first["over_products"] == 1.0
    for name in ("local", "products"):
        assert second[name]["ratio"] == pytest.approx(second[name]["cost_s"] / first[name]["cost_s"])
    assert second["over_products"] == pytest.approx(second["local"]["ratio"] / second["products"]["ratio"])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"blocks": "4,1"}, "--blocks: '4,1' .* chains of two blocks or more"),
        ({"blocks": "4,x"}, "--blocks: '4,x' .* whole numbers"),
        ({"model": "other"}, "--model: 'other' .* hm, ffm, sshm"),
        ({"lanes": 9}, "--lanes: 9 .* at most the minibatch, 4"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(flags: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        growth(**({"model": "sshm", "minibatch": 4, "lanes": 1} | flags))  # type: ignore[arg-type]
