"""Every file of deploy/ parses, says what its schema allows, and agrees with the others and with the project."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError
from ray import autoscaler

from tests.deploy.manifests import (
    DASHBOARD,
    DEPLOY,
    KUBERNETES,
    PROMETHEUS,
    ROOT,
    locked,
    nested,
    project,
    read,
    schema,
)

MACHINES = ("cluster-local.yaml", "cluster-aws.yaml")
MANIFESTS = sorted(path.name for path in KUBERNETES.glob("*.yaml"))
HEAD = "--port=6379 --dashboard-host=127.0.0.1 --dashboard-port=8265 --metrics-export-port=8080"


@pytest.mark.parametrize("name", MACHINES)
def test_vm_clusters_fit_the_schema_that_ships_with_ray(name: str) -> None:
    shipped = json.loads((Path(autoscaler.__file__).parent / "ray-schema.json").read_text(encoding="utf-8"))
    Draft202012Validator(shipped).validate(read(DEPLOY / name))


@pytest.mark.parametrize("name", MACHINES)
def test_vm_clusters_ask_for_a_token_and_install_the_lock(name: str) -> None:
    cluster = read(DEPLOY / name)
    starts = [*cluster["head_start_ray_commands"], *cluster["worker_start_ray_commands"]]
    for command in starts:
        if "ray start" in command:
            assert "RAY_AUTH_MODE=token" in command
            assert "RAY_worker_niceness=0" in command
    assert "~/.ray/auth_token" in cluster["file_mounts"].values()
    assert any("--constraint ~/dyadnet/constraints.txt" in command for command in cluster["setup_commands"])
    assert any(HEAD in command for command in cluster["head_start_ray_commands"])


def test_the_compose_file_fits_its_schema() -> None:
    Draft202012Validator(schema("compose")).validate(read(DEPLOY / "compose.yaml"))


def test_the_compose_schema_refuses_a_port_open_to_the_network() -> None:
    compose = read(DEPLOY / "compose.yaml")
    compose["services"]["head"]["ports"] = ["8265:8265"]
    with pytest.raises(ValidationError):
        Draft202012Validator(schema("compose")).validate(compose)


def test_volumes_and_secrets_of_the_compose_file_exist() -> None:
    compose = read(DEPLOY / "compose.yaml")
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DEPLOY / source).is_dir() if source.startswith(".") else source in compose["volumes"]
        assert set(service.get("secrets", [])) <= set(compose["secrets"])
        if "shm_size" not in service:
            assert "build" not in service, "a node of Ray without shared memory"


@pytest.mark.parametrize("name", MANIFESTS)
def test_kubernetes_manifests_fit_their_schema(name: str) -> None:
    Draft202012Validator(schema("kubernetes")).validate(read(KUBERNETES / name))


def test_the_kubernetes_schema_refuses_a_cluster_without_tokens() -> None:
    cluster = read(KUBERNETES / "raycluster.yaml")
    del cluster["spec"]["authOptions"]
    with pytest.raises(ValidationError):
        Draft202012Validator(schema("kubernetes")).validate(cluster)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")
def test_the_kustomization_builds(tmp_path: Path) -> None:
    shutil.copytree(KUBERNETES, tmp_path / "k")
    (tmp_path / "k" / "auth_token").write_text("a-token-for-tests-only", encoding="utf-8")
    command = ["kubectl", "kustomize", str(tmp_path / "k")]
    built = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    for kind in ("Namespace", "Secret", "RayCluster", "NetworkPolicy", "PodMonitor"):
        assert f"kind: {kind}\n" in built
    assert "name: dyadnet-token\n" in built


def test_every_ray_and_python_is_the_locks() -> None:
    for name in ("raycluster.yaml", "rayjob.yaml"):
        assert set(nested(read(KUBERNETES / name), "rayVersion")) == {locked("ray")}
    pinned = re.search(r"^ARG PYTHON=(\d+\.\d+)\.\d+-slim", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert pinned
    supported = [line.rsplit(" ", 1)[-1] for line in project()["classifiers"] if "Python :: 3." in line]
    assert pinned[1] in supported
    assert "Python is 3.12" in (DEPLOY / "cluster-aws.yaml").read_text()
    assert "3.12" in supported


def test_every_image_of_dyadnet_is_of_this_version() -> None:
    version = project()["version"]
    files = [DEPLOY / "compose.yaml", DEPLOY / "Dockerfile", DEPLOY / "README.md", *KUBERNETES.glob("*.yaml")]
    found = {tag for path in files for tag in re.findall(r"\bdyadnet:(\d[\w.]*\d)", path.read_text(encoding="utf-8"))}
    assert found == {version}


def test_ports_agree() -> None:
    compose = read(DEPLOY / "compose.yaml")["services"]
    published = {port.rsplit(":", 1)[-1] for port in compose["head"]["ports"]}
    assert published == {"8265", "9300"}
    for name in ("raycluster.yaml", "rayjob.yaml"):
        head = next(nested(read(KUBERNETES / name), "headGroupSpec"))
        ports = {port["name"]: port["containerPort"] for port in head["template"]["spec"]["containers"][0]["ports"]}
        assert ports == {"gcs-server": 6379, "dashboard": 8265, "metrics": 8080, "dyadnet": 9300}
        assert head["rayStartParams"]["metrics-export-port"] == "8080"
    scraped = {endpoint["port"] for endpoint in read(KUBERNETES / "podmonitor.yaml")["spec"]["podMetricsEndpoints"]}
    assert scraped == {"dyadnet", "metrics"}
    policy = read(KUBERNETES / "networkpolicy.yaml")
    assert {door["port"] for door in nested_doors(policy)} == {8265, 8080, 9300}
    targets = [target for job in read(PROMETHEUS / "prometheus.yml")["scrape_configs"] for target in _targets(job)]
    assert set(targets) == {"head:9300", "head:8080"}
    assert "--metrics-port 9300" in read(KUBERNETES / "rayjob.yaml")["spec"]["entrypoint"]


def nested_doors(policy: dict[str, Any]) -> list[dict[str, Any]]:
    """What the policy lets in by port."""
    return [door for rule in policy["spec"]["ingress"] for door in rule.get("ports", [])]


def _targets(job: dict[str, Any]) -> list[str]:
    return [target for group in job.get("static_configs", []) for target in group["targets"]]


def test_the_image_is_small_in_what_it_copies_and_runs_as_nobody_special() -> None:
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert "USER 1000:1000" in lines
    copied = {
        name for line in lines if line.startswith("COPY ") and "--from" not in line for name in line.split()[1:-1]
    }
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)
    assert "cluster" in project()["optional-dependencies"]


def test_no_secret_is_in_the_repository() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"deploy/secrets/", "deploy/kubernetes/auth_token"} <= set(ignored)
    for path in KUBERNETES.glob("*.yaml"):
        assert "kind: Secret" not in path.read_text(encoding="utf-8")


def test_the_dashboard_is_what_its_script_writes(tmp_path: Path) -> None:
    shutil.copytree(DEPLOY / "grafana", tmp_path / "grafana")
    written = tmp_path / "grafana" / "dashboards" / DASHBOARD.name
    written.unlink()
    subprocess.run([sys.executable, str(tmp_path / "grafana" / "dashboard.py")], check=True, timeout=60)
    assert written.read_text(encoding="utf-8") == DASHBOARD.read_text(encoding="utf-8")


def test_the_dashboard_reads_from_the_top_down() -> None:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    rows = [panel["title"] for panel in panels if panel["type"] == "row"]
    assert rows == [
        "Is it learning?",
        "Is it settling?",
        "How asynchronous is it?",
        "Is the machinery well?",
    ]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, f"{panel['title']} lies over another panel"
        taken |= cells


def test_grafana_finds_what_is_provisioned() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    source = read(provisioning / "datasources" / "prometheus.yaml")["datasources"][0]
    assert source["url"] == "http://prometheus:9090"
    folder = read(provisioning / "dashboards" / "dyadnet.yaml")["providers"][0]["options"]["path"]
    mounts = read(DEPLOY / "compose.yaml")["services"]["grafana"]["volumes"]
    assert f"./grafana/dashboards:{folder}:ro" in mounts
    assert "./grafana/provisioning:/etc/grafana/provisioning:ro" in mounts
