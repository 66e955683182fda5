"""Commands that are printed for people name the plugins of this one, in other processes too."""

from __future__ import annotations

from pathlib import Path

import pytest
import ray.cloudpickle

from dyadnet import registry
from dyadnet.cli.plugins import imported
from dyadnet.process.commands import command


def test_a_command_names_the_plugins_of_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(registry.PLUGINS)
    (tmp_path / "theirs_0.py").write_text("")
    (tmp_path / "theirs_1.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        assert command("resume", "my run") == "dyadnet resume 'my run'"
        imported(["theirs_0", "theirs_1"])
        imported(["theirs_0"])
        assert command("resume", "run") == "dyadnet resume run --plugin theirs_0 --plugin theirs_1"
        sent = ray.cloudpickle.dumps(registry.Registrations())
        registry.PLUGINS[:] = []
        ray.cloudpickle.loads(sent)
        assert command("resume", "run") == "dyadnet resume run --plugin theirs_0 --plugin theirs_1"
    finally:
        registry.PLUGINS[:] = before
