"""A report shows what a run's folder holds, says what it lacks, and opens anywhere."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import dyadnet as dn
from dyadnet.cli import main as cli
from dyadnet.config import RunConfig
from dyadnet.numerics.histogram import BINS
from dyadnet.reporting import report, write
from dyadnet.reporting.contents import COUNTS, contents, flat
from dyadnet.reporting.reading import read
from dyadnet.runs.folder import read_config
from tests.browser import errors
from tests.telemetry.runs import settings, until


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two finished runs: a perfect one, and one whose messages are late and lost, with λ on the move."""
    folder = tmp_path_factory.mktemp("runs")
    perfect, lossy = folder / "perfect", folder / "lossy"
    dn.train(RunConfig.read(settings()), perfect)
    moving = {"lam": {"kind": "linear", "start": 0.5, "end": 0.0}}
    values = settings(dynamics={"delay": 3}, imperfections={"channel": {"loss": 0.2}}, learning=moving, seed=1)
    dn.train(RunConfig.read(values), lossy)
    return perfect, lossy


@pytest.fixture
def copy(runs: tuple[Path, Path], tmp_path: Path) -> Path:
    """A run that a test may damage."""
    return Path(shutil.copytree(runs[0], tmp_path / "copy"))


def values(page: str) -> Any:
    """The values that a page carries."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def free_running(run: Path) -> None:
    """Give a run's machinery record what one in real time has."""
    bins = [0] * BINS
    bins[12:15] = [5, 20, 3]
    actors = {
        "h1": {"computing": 1.0, "waiting": 0.5, "updates_per_second": 200.0, "edges": {"h2": {"age_ms": bins}}},
        "h2": {"computing": 0.5, "waiting": 1.0, "updates_per_second": 300.0, "edges": {}},
    }
    lines = [json.loads(line) for line in (run / "machinery.jsonl").read_text().splitlines()]
    pace = {"delay_ms": 2.0, "time_constant_ms": 8.0}
    text = "".join(json.dumps(line | {"actors": actors, "pace": pace}) + "\n" for line in lines)
    (run / "machinery.jsonl").write_text(text)


def test_training_ends_with_a_report_in_the_runs_folder(runs: tuple[Path, Path]) -> None:
    (run,) = values((runs[0] / "report.html").read_text(encoding="utf-8"))["runs"]
    assert run["state"] == "finished"
    assert run["missing"] == []
    assert len(run["epochs"]) == run["planned"] == 2


def test_a_report_counts_as_the_record_does(runs: tuple[Path, Path]) -> None:
    found = contents(read(runs[1]))
    lines = [json.loads(line) for line in (runs[1] / "metrics.jsonl").read_text().splitlines()]
    epochs = [line for line in lines if line["kind"] == "epoch"]
    for channel in found["channels"]:
        for key in COUNTS:
            assert channel[key] == sum(line["train"]["edges"][channel["channel"]][key] for line in epochs)
    assert any(channel["dropped"] for channel in found["channels"])
    assert [epoch["accuracy"]["test_ideal"] for epoch in found["epochs"]] == [
        line["test_ideal"]["accuracy"] for line in epochs
    ]
    assert [epoch["lambda"] for epoch in found["epochs"]] == [line["lambda"] for line in epochs]
    assert found["network"]["projections"][-1]["lambda"] == epochs[-1]["lambda"][-1]


def test_only_what_differs_from_the_defaults_is_listed(runs: tuple[Path, Path]) -> None:
    found = contents(read(runs[1]))
    assert {"dynamics.delay.ticks", "imperfections.channel.loss.p", "seed", "engine"} <= set(found["changed"])
    assert "dynamics.tolerance" not in found["changed"]
    assert found["settings"]["dynamics.delay.ticks"] == "3"
    assert flat({"a": [{"name": "x", "b": 1}], "c": []}) == {"a.x.name": "x", "a.x.b": 1, "c": []}


def test_a_page_fetches_nothing_and_runs_nothing_but_its_own(runs: tuple[Path, Path]) -> None:
    page = report(runs)
    assert not re.search(r"\s(src|href)=\"(?!data:,\")", page)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    assert not re.search(r"\son\w+=\"|\sstyle=\"|@import|url\(", page)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def cut(run: Path) -> None:
    """Stopped in the middle of writing its last line."""
    whole = (run / "metrics.jsonl").read_bytes()
    (run / "metrics.jsonl").write_bytes(whole[:-200])


def garbled(run: Path) -> None:
    """Bytes that are no text, and lines that say too little."""
    lines = (run / "metrics.jsonl").read_bytes().splitlines()
    bad = [b"\xff\xfe\x00", b"[]", b'{"kind": "epoch", "epoch": 9}', b'{"kind": "epoch", "epoch": 2, "train": []}']
    bad.append(b'{"kind": "minibatch", "loss": 1, "accuracy": 1, "sweeps": 1, "epoch": Infinity}')
    (run / "metrics.jsonl").write_bytes(b"\n".join([*bad, *lines]))


def emptied(run: Path) -> None:
    """No epoch had ended."""
    (run / "metrics.jsonl").write_text("")
    shutil.rmtree(run / "checkpoints")


def unconfigured(run: Path) -> None:
    """Settings that are none."""
    (run / "config.yaml").write_text("network: {layered: {inputs: -1}}")


def unreadable(run: Path) -> None:
    """Settings that are no text."""
    (run / "config.yaml").write_bytes(b"\xff\xfe\x00")


def configless(run: Path) -> None:
    """A record alone."""
    (run / "config.yaml").unlink()


def strange(run: Path) -> None:
    """Lines with the right keys and the wrong values."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    first, last = (line for line in lines if line["kind"] == "epoch")
    first["train"]["edges"] = {"h1>h2 state": {"messages": "many"}}
    last["lambda"] = 3
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in (first, last)))
    actors = {"h1": {"edges": {"h2": {"age_ms": [1, 2]}}}}
    (run / "machinery.jsonl").write_text(json.dumps({"kind": "epoch", "epoch": 1, "seconds": {}, "actors": actors}))


def bare(run: Path) -> None:
    """Nothing but its settings."""
    (run / "metrics.jsonl").unlink()
    (run / "machinery.jsonl").unlink()
    shutil.rmtree(run / "checkpoints")


def unmachined(run: Path) -> None:
    """Strange values in the machinery's record, and weights that do not say what they are."""
    (run / "machinery.jsonl").write_text('{"kind": "epoch", "epoch": 1, "seconds": 3, "actors": []}\nnonsense\n')
    (run / "checkpoints" / "best" / "manifest.json").write_text("{")


def endless(run: Path) -> None:
    """Lists within lists, deeper than can be read."""
    (run / "config.yaml").write_text("[" * 100_000 + "]" * 100_000)
    with (run / "metrics.jsonl").open("a") as file:
        file.write("[" * 100_000 + "]" * 100_000)


def mixed(run: Path) -> None:
    """The settings of another run."""
    network = {"layered": {"inputs": 64, "hidden": [14], "outputs": 10}}
    (run / "config.yaml").write_text(RunConfig.read(settings() | {"network": network}).to_yaml())


def closed(run: Path) -> None:
    """Weights in a place that cannot be looked at."""
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").symlink_to("n" * 300)


DAMAGES: list[tuple[Callable[[Path], None], str, tuple[str, ...]]] = [
    (cut, "damaged", ("metrics.jsonl: line ", "epoch 2: the run was stopped")),
    (garbled, "damaged", ("metrics.jsonl: lines 1, 2 damaged", "2 lines of kind epoch", "1 line of kind minibatch")),
    (emptied, "unfinished", ("no finished epoch", "the best weights: not saved yet")),
    (unconfigured, "damaged", ("the configuration: ", "layered.inputs")),
    (unreadable, "damaged", ("the configuration: ", "damaged, not YAML")),
    (configless, "damaged", ("config.yaml: the file is missing",)),
    (strange, "damaged", ("metrics.jsonl: 2 lines of kind epoch damaged", "machinery.jsonl: 1 line of kind epoch")),
    (bare, "unfinished", ("metrics.jsonl: the file is missing", "machinery.jsonl: the file is missing")),
    (unmachined, "damaged", ("machinery.jsonl: line 2 damaged", "kind epoch damaged", "the best weights: ")),
    (endless, "damaged", ("damaged, not YAML", "metrics.jsonl: line ")),
    (mixed, "damaged", ("config.yaml and metrics.jsonl are of different networks", "only one of them has h2")),
    (closed, "finished", ("the best weights: they cannot be read (File name too long)",)),
]


@pytest.mark.parametrize(("damage", "state", "words"), DAMAGES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_damaged_run_gives_a_report_that_says_what_is_missing(
    copy: Path, damage: Callable[[Path], None], state: str, words: tuple[str, ...]
) -> None:
    damage(copy)
    (run,) = values(report([copy]))["runs"]
    assert run["state"] == state
    assert (run["planned"] is None) == (damage in (unconfigured, unreadable, configless, endless))
    for word in words:
        assert any(word in text for text in run["missing"]), (word, run["missing"])


def test_a_name_that_looks_like_markup_stays_a_name(runs: tuple[Path, Path], tmp_path: Path) -> None:
    odd = tmp_path / "<script>alert(1)<!--"
    shutil.copytree(runs[0], odd)
    page = report([odd])
    assert "<script>alert" not in page
    assert values(page)["runs"][0]["name"] == odd.name


def test_a_name_that_is_no_text_is_shown_with_replacement_characters(runs: tuple[Path, Path], tmp_path: Path) -> None:
    odd = tmp_path / "bad\udcff"
    shutil.copytree(runs[0], odd)
    write([odd, runs[1]], tmp_path / "page.html")
    first, _ = values((tmp_path / "page.html").read_text(encoding="utf-8"))["runs"]
    assert first["name"] == "bad\ufffd"


def test_ages_of_a_free_run_are_added_over_its_epochs(copy: Path) -> None:
    free_running(copy)
    (edge,) = contents(read(copy))["ages"]
    assert edge["edge"] == "h2 → h1"
    assert edge["age_ms"][12:15] == [10, 40, 6]
    assert sum(edge["age_updates"]) == 0


def test_a_folder_without_a_run_is_one_line_and_exit_code_2(
    tmp_path: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in (tmp_path / "nowhere", tmp_path):
        assert "no run here" in refused([str(copy), str(folder), "--out", str(tmp_path / "page.html")], capsys)
        assert not (tmp_path / "page.html").exists()


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that the command ends with."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["report", *arguments])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_a_page_is_written_only_where_a_page_may_be(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    (tmp_path / "folder.html").mkdir()
    for out, words in (
        (copy / "config.yaml", "ends in .html or .htm"),
        (Path(".html"), "a file extension without a name"),
        (tmp_path / "folder.html", "this is a folder"),
        (copy / "config.yaml" / "r.html", "config.yaml is not a folder"),
        (tmp_path / f"{'r' * 300}.html", "File name too long"),
    ):
        assert words in refused([str(copy), "--out", str(out)], capsys)
    assert "File name too long" in refused(["r" * 300], capsys)
    assert {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()} == before


def test_a_report_takes_the_place_of_the_last_one_or_leaves_it(copy: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    write([copy], page)
    before = page.read_bytes()
    with pytest.raises(dn.RunFolderError):
        write([copy, tmp_path / "nowhere"], page)
    assert page.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if "page" in path.name] == ["page.html"]


def test_the_command_says_where_the_page_is_and_what_it_lacks(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut(copy)
    (copy / "report.html").unlink()
    with pytest.raises(SystemExit) as ended:
        cli.main(["report", str(copy), "--json"])
    assert ended.value.code == 0
    said = capsys.readouterr()
    assert json.loads(said.out.splitlines()[-1])["report"] == str(copy / "report.html")
    assert "damaged" in said.err
    assert (copy / "report.html").exists()


def recorded(run: Path, seed: int, accuracy: float) -> None:
    """Make a run one of another seed, whose epochs reached another accuracy on the test part."""
    config = read_config(run)
    (run / "config.yaml").write_text(config.model_copy(update={"seed": seed}).to_yaml())
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        if line["kind"] == "epoch":
            line["test"]["accuracy"] = accuracy
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def seeds(runs: tuple[Path, Path], tmp_path: Path) -> list[Path]:
    """Three runs that differ in nothing but the seed, and the lossy one."""
    found = [Path(shutil.copytree(runs[0], tmp_path / f"perfect-seed{seed}")) for seed in (1, 2, 3)]
    for seed, run in enumerate(found, start=1):
        recorded(run, seed, 0.4 + 0.1 * seed)
    return [*found, runs[1]]


def test_runs_that_differ_in_nothing_but_the_seed_are_one_group(seeds: list[Path], copy: Path) -> None:
    assert values(report(seeds))["groups"] == [
        {"name": "perfect", "runs": [0, 1, 2]},
        {"name": "lossy", "runs": [3]},
    ]
    recorded(copy, 1, 0.9)
    found = values(report([*seeds[:2], copy]))["groups"]
    assert [group["runs"] for group in found] == [[0, 1], [2]], "the same seed twice is no second seed"
    cut(seeds[1])
    assert [group["runs"] for group in values(report(seeds[:2]))["groups"]] == [[0], [1]], "one of them is damaged"


def test_a_group_shows_its_mean_and_how_far_its_seeds_lie_apart(
    seeds: list[Path], tmp_path: Path, chromium: Any
) -> None:
    write(seeds, tmp_path / "page.html")
    texts = shown(chromium, tmp_path / "page.html")
    assert texts("section:first-of-type tr:nth-child(2) td")[:4] == ["perfect", "finished", "3", "60.00% ± 10.00%"]
    assert len(texts("path.band")) >= 7
    assert errors(chromium) == []


PROBED = {"neurons": {"h1": [3, 1, 5, 0, 2], "h2": [4]}, "every": 5}


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with probes."""
    run = tmp_path_factory.mktemp("probed") / "run"
    dn.train(RunConfig.read(settings(probe=PROBED)), run)
    return run


def test_a_report_shows_what_probes_recorded(probed: Path) -> None:
    found = contents(read(probed))["probes"]
    whole = dn.load(probed).probes
    numbers = sorted(whole)
    assert [one["relaxation"] for one in found][:: len(found) - 1] == [numbers[0], numbers[-1]]
    assert len(found) <= 4
    last = found[-1]["blocks"][0]
    assert (last["block"], [neuron["index"] for neuron in last["neurons"]], last["probed"]) == ("h1", [3, 1, 5, 0], 5)
    assert last["ticks"] == whole[numbers[-1]]["h1/ticks"].tolist()
    for kind in ("plus", "minus", "mean", "difference"):
        np.testing.assert_allclose(last["neurons"][1][kind], whole[numbers[-1]][f"h1/{kind}"][:, 0, 1], rtol=1e-4)


def test_damaged_probes_are_left_out_and_named(probed: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(probed, tmp_path / "run"))
    first, *others = sorted((run / "probes").glob("*.npz"))
    first.write_bytes(b"PK nothing")
    short: dict[str, Any] = {"h1/ticks": np.arange(3), "h1/plus": np.zeros(3)}
    np.savez(others[-1], **short)
    found = contents(read(run))
    assert len([text for text in found["missing"] if text.startswith("probes/")]) == 2
    assert found["state"] == "damaged"
    assert len(found["probes"]) == min(4, len(others) + 1) - 2


def test_the_page_shows_probes_of_a_relaxation_at_a_time(probed: Path, chromium: Any) -> None:
    write([probed], probed / "report.html")
    texts = shown(chromium, probed / "report.html")
    section = "section:has(.three-wide)"
    assert len(texts(f"{section} .chart")) == len(texts(f"{section} .chart:has(path.curve)")) == 6
    before = texts(f"{section} .chart em")
    chromium.find_elements("css selector", f"{section} [role=radio]")[-1].click()
    assert texts(f"{section} .chart em") != before
    assert errors(chromium) == []


@pytest.mark.parametrize("width", [400, 1000, 1600])
def test_nothing_is_cut_off_or_covered_at_any_width(probed: Path, chromium: Any, width: int) -> None:
    from docs.tools.report_screenshot import collisions, resized

    write([probed], probed / "report.html")
    shown(chromium, probed / "report.html")
    resized(chromium, width)
    assert chromium.execute_script("return document.documentElement.scrollWidth") == width
    assert collisions(chromium) == []
    small = "return [...document.querySelectorAll('.chart .tick')].map((text) => text.getBoundingClientRect().height)"
    assert min(chromium.execute_script(small)) >= 10, "texts keep their size"


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with feature maps, sparse synapses, and probes of neurons with a shape."""
    run = tmp_path_factory.mktemp("mapped") / "run"
    values = settings(probe={"neurons": {"conv1": [0, 13]}, "every": 10})
    layers = ["conv 5 3x3", "pool 2", "sparse 12 0.3", "dense 10"]
    values["network"] = {"layers": layers, "inputs": [1, 8, 8], "lam": 0.0}
    dn.train(RunConfig.read(values), run)
    return run


def test_a_report_shows_kernels_pairs_and_feature_maps(mapped: Path) -> None:
    found = contents(read(mapped))
    pictures = found["pictures"]
    assert [one["title"] for one in pictures["weights"]] == ["input->conv1", "conv1->sparse2"]
    assert [one["title"] for one in pictures["maps"]] == ["input", "conv1"]
    assert all(one["src"].startswith("data:image/png;base64,") for part in pictures.values() for one in part)
    assert found["about"]["network"] == "1x8x8-5x3x3-12-10"
    assert [neuron["place"] for neuron in found["probes"][0]["blocks"][0]["neurons"]] == [[0, 0, 0], [1, 1, 1]]
    assert found["missing"] == []


def test_damaged_feature_maps_are_named(mapped: Path, tmp_path: Path) -> None:
    for number, damage in enumerate([b"PK nothing", None]):
        run = Path(shutil.copytree(mapped, tmp_path / f"run{number}"))
        if damage is None:
            np.savez(run / "maps.npz", conv1=np.full((5, 3, 3), np.nan))
        else:
            (run / "maps.npz").write_bytes(damage)
        found = contents(read(run))
        assert [text for text in found["missing"] if text.startswith("maps.npz: damaged")]
        assert found["state"] == "damaged"
        assert found["pictures"]["maps"] == []
        assert [one["title"] for one in found["pictures"]["weights"]] == ["input->conv1", "conv1->sparse2"]


@pytest.mark.parametrize("width", [400, 1000])
def test_the_page_draws_tiles(mapped: Path, chromium: Any, width: int) -> None:
    from docs.tools.report_screenshot import collisions, resized

    write([mapped], mapped / "report.html")
    texts = shown(chromium, mapped / "report.html")
    resized(chromium, width)
    assert [text for text in texts("h2") if text in ("Feature maps", "Weights")] == ["Feature maps", "Weights"]
    assert texts("figcaption") == ["input", "conv1", "input → conv1", "conv1 → sparse2"]
    sizes = "return [...document.querySelectorAll('.tiles img')].map((image) => image.naturalWidth)"
    until(lambda: min(chromium.execute_script(sizes)) > 0)
    assert texts("g.block .size") == ["5×3×3", "12", "10"]
    assert len(chromium.find_elements("css selector", "g.block[data-block=conv1] .dyads path")) % 2 == 0
    assert chromium.execute_script("return document.documentElement.scrollWidth") == width
    assert collisions(chromium) == []
    assert errors(chromium) == []


def test_charts_are_saved_as_csv_and_as_svg_that_stands_alone(
    runs: tuple[Path, Path], copy: Path, chromium: Any
) -> None:
    write([copy], copy / "report.html")
    shown(chromium, copy / "report.html")
    downloads = copy / "downloads"
    downloads.mkdir()
    chromium.execute_cdp_cmd("Page.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
    for kind in ("svg", "csv"):
        chromium.execute_script(f"document.querySelector('.chart [data-save={kind}]').click()")
    chromium.execute_script("document.querySelector('.legend [data-save=svg]').click()")
    until(lambda: len([path for path in downloads.iterdir() if path.suffix in (".svg", ".csv")]) == 3)
    rows = list(csv.DictReader((downloads / "copy-dyadnet-loss.csv").open()))
    epochs = [epoch["loss"]["test"] for epoch in contents(read(copy))["epochs"]]
    assert [float(row["Loss"]) for row in rows if row["series"] == "test"] == epochs
    assert [row["epoch"] for row in rows if row["series"] == "test"] == ["1", "2"]
    for name in ("copy-dyadnet-loss.svg", "copy-dyadnet-network.svg"):
        root = ElementTree.parse(downloads / name).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        drawn = list(root.iter("{http://www.w3.org/2000/svg}path"))
        assert drawn
        assert all(path.get("stroke") and path.get("fill") and path.get("class") is None for path in drawn)
    assert errors(chromium) == []


# Lines that pass through a block.
THROUGH = """
const cells = [...document.querySelectorAll("svg.network rect.cell")].map((rect) => rect.getBBox());
return [...document.querySelectorAll("svg.network .channel")].filter((line) => {
  const length = line.getTotalLength();
  return [...Array(200).keys()].some((step) => {
    const { x, y } = line.getPointAtLength((length * step) / 199);
    const within = (at, from, size) => at > from + 2 && at < from + size - 2;
    return cells.some((box) => within(x, box.x, box.width) && within(y, box.y, box.height));
  });
}).map((line) => line.textContent);
"""


@pytest.mark.parametrize("width", [400, 1000])
def test_a_graph_is_drawn_along_its_longest_path_without_overlaps(tmp_path: Path, chromium: Any, width: int) -> None:
    from docs.tools.graph_screenshot import GRAPH
    from docs.tools.report_screenshot import collisions, resized

    config = RunConfig.read(settings(learning={"epochs": 1}, dynamics={"sweeps": 5}))
    more = (dn.Projection("d", "many", lam=0.0), dn.Projection("many", "out", lam=0.0))
    populations = (*GRAPH.populations[:-1], dn.Population("many", 24, blocks=12), GRAPH.populations[-1])
    wide = dn.Network(inputs=64, populations=populations, projections=(*GRAPH.projections, *more))
    dn.train(config.model_copy(update={"network": wide}), tmp_path / "run", report=False)
    write([tmp_path / "run"], tmp_path / "run" / "report.html")
    shown(chromium, tmp_path / "run" / "report.html")
    resized(chromium, width)
    place = "return document.querySelector(`[data-block='${arguments[0]}'] rect`).getBBox().x"
    columns = [chromium.execute_script(place, name) for name in ("input", "a", "b.0", "c", "d", "many.0", "out")]
    assert columns == sorted(set(columns)), "what closes no cycle goes from left to right"
    assert chromium.execute_script(THROUGH) == []
    assert collisions(chromium) == []
    assert errors(chromium) == []


@pytest.mark.parametrize("width", [400, 1000])
def test_projections_both_ways_are_drawn_side_by_side_with_their_directions(
    tmp_path: Path, chromium: Any, width: int
) -> None:
    from docs.tools.report_screenshot import collisions, resized

    config = RunConfig.read(settings(learning={"epochs": 1}, dynamics={"sweeps": 5}))
    network = dn.layered(64, [20, 12], 10, lam="asymmetric")
    dn.train(config.model_copy(update={"network": network}), tmp_path / "run", report=False)
    write([tmp_path / "run"], tmp_path / "run" / "report.html")
    texts = shown(chromium, tmp_path / "run" / "report.html")
    resized(chromium, width)
    assert texts("svg.network text.lam") == ["λ 0.5 →", "← λ 0.5"] * 2
    assert chromium.execute_script(THROUGH) == []
    assert collisions(chromium) == []
    assert errors(chromium) == []


def test_a_logarithmic_chart_says_so(copy: Path, chromium: Any) -> None:
    texts = shown(chromium, copy / "report.html")
    marked = [title.removesuffix("log") for title in texts(".chart b") if title.endswith("log")]
    assert {"Loss", "Error"} <= set(marked)
    assert "Sweeps to settle" not in marked


def shown(chromium: Any, page: Path, *, dark: bool = False) -> Callable[[str], list[str]]:
    """Open a page; the answer finds the text of what a selector names."""
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    chromium.get(page.as_uri())
    script = "return [...document.querySelectorAll(arguments[0])].map((element) => element.textContent)"
    return lambda selector: list(chromium.execute_script(script, selector))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_of_a_run_opens_with_its_plots(copy: Path, chromium: Any, dark: bool) -> None:
    free_running(copy)
    write([copy], copy / "report.html")
    texts = shown(chromium, copy / "report.html", dark=dark)
    titles = texts("h2")
    assert [title.split(":")[0] for title in titles] == [
        "Network", "Training", "Layers", "Course", "Messages", "Weights", "Ages", "Time", "Configuration",
    ]  # fmt: skip
    assert texts(".state span") == ["finished"]
    assert len(texts("g.block")) == 3
    charts = texts(".chart")
    assert len(charts) == len(texts(".chart:has(path.curve)")) >= 14
    assert len(texts(".stack")) == 2
    ground = chromium.execute_script("return getComputedStyle(document.documentElement).backgroundColor")
    assert ground == ("rgb(13, 16, 20)" if dark else "rgb(244, 243, 239)")
    chromium.find_element("css selector", "[data-by=residual]").click()
    assert all(re.fullmatch(r"[\d.e-]+", text) for text in texts("g.block .value"))
    assert errors(chromium) == []


def test_the_page_of_a_run_on_numbers_has_r2_and_no_accuracy(
    runs: tuple[Path, Path], tmp_path: Path, chromium: Any
) -> None:
    x = np.random.default_rng(0).standard_normal((60, 4))
    network = dn.layered(hidden=[6], output_activation="linear")
    config = dn.RunConfig(network=network, engine="local", learning=dn.Learning(epochs=2, minibatch=20))
    numbers = dn.train(config, tmp_path / "numbers", data=(x, np.tanh(x[:, :2]))).path
    write([numbers], tmp_path / "one.html")
    texts = shown(chromium, tmp_path / "one.html")
    figures = " ".join(texts(".figures"))
    assert "Test R²" in figures
    assert "accuracy" not in figures
    assert any(text.startswith("Variance not explained") for text in texts(".chart:has(path.curve)"))
    write([runs[0], numbers], tmp_path / "two.html")
    texts = shown(chromium, tmp_path / "two.html")
    assert {"test", "test R²", "test MAE"} <= set(texts("th"))
    assert errors(chromium) == []


def test_the_page_of_several_runs_compares_them(runs: tuple[Path, Path], copy: Path, chromium: Any) -> None:
    emptied(copy)
    page = copy / "page.html"
    write([*runs, copy], page)
    texts = shown(chromium, page)
    assert texts("h1") == ["3 runs compared"]
    assert texts("section:first-of-type td:first-child")[:3] == ["perfect", "lossy", "copy"]
    assert "imperfections.channel.loss.p" in texts("td:first-child")
    assert len(texts("#content > section .chart:has(path.curve)")) >= 7
    assert len(texts("details.run")) == 3
    assert "no finished epoch" in texts("details.run:last-of-type .why")[0]
    assert errors(chromium) == []


@pytest.mark.parametrize("damage", [damage for damage, *_ in DAMAGES], ids=lambda damage: damage.__name__)
def test_the_page_of_a_damaged_run_opens(copy: Path, chromium: Any, damage: Callable[[Path], None]) -> None:
    damage(copy)
    write([copy], copy / "report.html")
    assert shown(chromium, copy / "report.html")(".why li")
    assert errors(chromium) == []
