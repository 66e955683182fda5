"""``dyadnet bench``: what its commands print about tiny networks, and what they refuse; never a time."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pytest

from dyadnet.bench.blocks import IMPERFECT, configuration
from dyadnet.bench.kernel import MOST, SWEEPS, enough
from dyadnet.bench.kinds import convolutions, sparse
from dyadnet.bench.products import Products
from dyadnet.bench.prospective import DELAYS, LAWS
from dyadnet.cli.main import main
from dyadnet.synapses.base import Ends
from dyadnet.synapses.sparse import PairwiseBernoulli


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """The object that a benchmark prints in its last line."""
    with pytest.raises(SystemExit) as ended:
        main(["bench", *arguments, "--json"])
    assert ended.value.code == 0
    captured = capsys.readouterr()
    assert captured.err.strip(), "a table is expected"
    return json.loads(captured.out.splitlines()[-1])


def test_kernel_measures_products_in_compiled_code_and_by_numpy(capsys: pytest.CaptureFixture[str]) -> None:
    found = printed(capsys, "kernel", "--network", "20-16-16-10", "--minibatch", "8", "--repetitions", "1")
    assert found["network"] == [20, 16, 16, 10]
    assert set(found["kernel"]) == set(found["cores"]) == {"sshm", "hm", "ffm"}
    for of in found["kernel"].values():
        assert of["ratio"] == pytest.approx(of["products_s"] / of["sweep_s"])
        assert of["ratio_numpy"] == pytest.approx(of["products_numpy_s"] / of["sweep_s"])


def test_prospective_counts_ticks_beside_the_best_plain_step(capsys: pytest.CaptureFixture[str]) -> None:
    options = "--network", "64-20-20-10", "--data", "digits", "--minibatch", "4", "--radius", "2.4"
    with pytest.raises(SystemExit) as ended:
        main(["bench", "prospective", "--json", *options])
    assert ended.value.code == 0
    *_, last = capsys.readouterr().out.splitlines()
    rows = json.loads(last)
    assert [row["delay"] for row in rows] == list(DELAYS)
    for row in rows:
        assert row["best"]["ticks"] <= row["plain"]["ticks"]
        assert row["best prospective"]["ticks"] < row["best"]["ticks"]
        assert row["prospective"]["ticks"] < row["plain"]["ticks"]
        assert row["plain"]["gamma"] == row["red-black"]["gamma"] == 0 < row["prospective"]["gamma"]
    with pytest.raises(SystemExit) as ended:
        main(["bench", "prospective", "--table", "random", "--cap", "3000", *options])
    assert ended.value.code == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 2 + len(LAWS)
    assert all(line.count("|") == lines[0].count("|") for line in lines)


def test_smaller_networks_make_more_sweeps() -> None:
    assert enough([500, 500, 500], 128) == SWEEPS
    assert SWEEPS < enough([200, 200], 128) < MOST
    assert enough([100, 100], 32) == MOST


@pytest.mark.parametrize("rows", [[6], [3, 4]])
def test_products_are_the_same_by_both_ways(rows: list[int]) -> None:
    products = Products([(7, 9), (9, 4)], rows)
    try:
        found = []
        for multiply in (products.seconds, products.numpy_seconds):
            for *_, forward, feedback in products._lanes:
                forward[:], feedback[:] = np.nan, np.nan
            assert multiply(1) > 0
            found.append([array.copy() for lane in products._lanes for array in lane[-2:]])
        for one, other in zip(*found, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
            assert np.isfinite(one).all()
    finally:
        products.close()


def test_convolutions_are_measured_by_the_same_products() -> None:
    cases = convolutions(5, (2, 7, 6), (3, 4), 3)
    assert [case.product for case in cases] == ["forward", "backward", "contrast"] * 2
    for case in cases:
        own, bare = case.own(), case.bare()
        if case.product == "forward":
            bare = bare.transpose(1, 0, 2).reshape(own.shape)
        if case.product == "backward":  # Each window adds its numbers to those of the image.
            own, bare = own.sum(), bare.sum()
        np.testing.assert_allclose(own, bare, rtol=1e-3, atol=1e-3, err_msg=case.product)


def test_sparse_synapses_are_measured_by_the_same_products() -> None:
    cases, size = sparse(5, 40, 0.2)
    chosen = PairwiseBernoulli(p=0.2).pairs(Ends((40,), (40,), "bench"))
    for case in cases:
        bare = case.bare()[chosen] if case.product == "contrast" else case.bare()
        np.testing.assert_allclose(case.own(), bare, rtol=1e-4, atol=1e-4, err_msg=case.product)
    assert size["synapses"] == len(chosen[0])
    assert size["dense"] == 4 * 40 * 40


def test_kinds_are_beside_bare_and_dense_products(capsys: pytest.CaptureFixture[str]) -> None:
    found = printed(capsys, "kinds", "--minibatch", "2", "--neurons", "50", "--density", "0.1", "--repetitions", "1")
    assert [row["product"] for row in found["convolution"]] == ["forward", "backward", "contrast"] * 2
    assert [row["product"] for row in found["sparse"]] == ["forward", "backward", "contrast"]
    for row in found["convolution"] + found["sparse"]:
        assert row["ratio"] == pytest.approx(row["bare_s"] / row["own_s"])


def test_blocks_are_compared_with_one_a_layer(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--blocks", "3", "--minibatches", "2", "--repetitions", "1")
    found = printed(capsys, "blocks", *flags)
    assert found["minibatches"] == 2
    assert found["imperfect"] is None
    one, three = found["rows"]
    assert (one["blocks"], one["over_same"], three["blocks"]) == (1, 1.0, 3)
    assert three["over_same"] == three["over_ideal"] == pytest.approx(three["seconds"] / one["seconds"])
    assert three["sweeps"] > 0


def test_imperfect_blocks_are_compared_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--blocks", "3", "--minibatches", "1", "--repetitions", "1", "--imperfect", "--model", "ffm")
    found = printed(capsys, "blocks", *flags)
    assert found["imperfect"] == IMPERFECT
    ideal, one, three = found["rows"]
    assert [(row["blocks"], row["imperfect"]) for row in found["rows"]] == [(1, False), (1, True), (3, True)]
    assert (ideal["over_ideal"], ideal["over_same"], one["over_same"]) == (1.0, 1.0, 1.0)
    assert three["over_ideal"] == pytest.approx(three["seconds"] / ideal["seconds"])
    assert three["over_same"] == pytest.approx(three["seconds"] / one["seconds"])


def test_imperfect_runs_are_as_the_help_says() -> None:
    config = configuration("sshm", 10, 30, imperfect=True)
    assert {population.blocks for population in config.network.populations} == {10, 1}
    assert config.learning.epochs == 30
    assert config.dynamics.clock.model_dump() == {"kind": "bernoulli", "p": 0.5, "unit": "block"}
    assert (config.dynamics.delay.largest, config.imperfections.channel.loss.p) == (5, 0.1)
    assert configuration("sshm", 10, 1).imperfections.ideal()


def test_a_version_is_as_good_as_itself(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--models", "ffm", "--network", "20-16-10", "--minibatches", "1", "--repetitions", "1")
    found = printed(capsys, "versions", sys.executable, *flags, "--studies", "--trials", "1")
    assert found["versions"]["this"] == found["versions"]["other"]
    assert [row["what"] for row in found["rows"]] == ["digits", "20-16-10", "study lambda"]
    for row in found["rows"]:
        assert row["same_weights"]
        assert row["sweeps"][0] == row["sweeps"][1] > 0
        assert row["ratio"] == row["ratios"][0] == pytest.approx(row["this"] / row["other"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("kernel", "--network", "20-10"), "at least one hidden layer"),
        (("blocks", "--blocks", "10,x"), "--blocks: '10,x' is not legal"),
        (("blocks", "--blocks", "101"), "--blocks: 101 is not legal"),
        (("blocks", "--model", "other"), "--model: 'other' is not legal"),
        (("prospective", "--model", "ffm"), "--model: 'ffm' is not legal"),
        (("prospective", "--table", "other"), "--table: 'other' is not legal"),
        (("prospective", "--radius", "0"), "--radius: 0.0 is not legal"),
        (("prospective", "--network", "20-8-10", "--data", "digits"), "--network: '20-8-10' is not legal"),
        (("kinds", "--density", "0"), "--density: 0.0 is not legal"),
        (("growth", "--local", "--actors", "2"), "--actors: 2 is not legal"),
        (("growth", "--local", "--address", "auto"), "--address: 'auto' is not legal"),
        (("versions", "nowhere", "--models", "sshm,other"), "--models: 'other' is not legal"),
        (("versions", "nowhere"), "OTHER: 'nowhere' is not legal"),
        (("versions", "/bin/echo"), "OTHER: '/bin/echo' is not legal"),
        (("versions", "nowhere", "--studies", "--study", "none"), "STUDY: 'none' is not legal"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", *arguments])
    assert ended.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert said in lines[0]
