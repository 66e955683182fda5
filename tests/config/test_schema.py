"""What is said of a setting that is not legal: which, what was given, and what would be."""

from __future__ import annotations

import pytest

from dyadnet.config import RunConfig
from dyadnet.config.overrides import assigned, merged
from dyadnet.config.presets import preset
from dyadnet.errors import ConfigError


@pytest.mark.parametrize(
    ("assignment", "complaint"),
    [
        ("learning.epochs=0", "learning.epochs: 0 is not legal; it should be greater than or equal to 1"),
        ("learning.epoch=3", "learning.epoch: 3 is not legal; unknown key; remove it or check its spelling"),
        ("learning.beta=abc", "learning.beta: 'abc' is not legal; it should be a valid number"),
        ("learning.beta={start: 1}", "learning.beta.kind: None is not legal; it has to be given"),
        ("learning.beta={kind: linear}", "learning.beta.start: None is not legal; it has to be given"),
        (
            "learning.learning_rate={kind: piecewise, pieces: [{epochs: 1}]}",
            "learning.learning_rate.pieces.0.of: None is not legal; it has to be given",
        ),
        ("learning.warmup=-1", "learning.warmup: -1 is not legal; it should be greater than or equal to 0"),
        ("learning.warmup=1.5", "learning.warmup: 1.5 is not legal; it should be a valid integer"),
        ("learning.optimiser.kind=x", "learning.optimiser.kind: 'x' is not legal; one of sgd, momentum, adam"),
        ("dynamics.clock=x", "dynamics.clock.kind: 'x' is not legal; one of auto, every-tick,"),
        ("dynamics.delay=-1", "dynamics.delay: -1 is not legal; it should be greater than or equal to 1"),
        ("imperfections.channel.loss=2", "imperfections.channel.loss: 2 is not legal; it should be less than or"),
        ("dynamics.step=0", "dynamics.step: 0 is not legal; it should be 'auto' or greater than 0"),
        (
            "learning.lam={h1->h2: {kind: linear, start: 0}}",
            "learning.lam.h1->h2.end: None is not legal; it has to be given",
        ),
        (
            "learning.lam={h1->h2: {kind: lineal, start: 0}}",
            "learning.lam.h1->h2.kind: 'lineal' is not legal; one of constant, linear,",
        ),
        ("recovery=3", "recovery: 3 is not legal; it should be a mapping of settings"),
        ("cluster.ports=[30000, 20000]", "cluster.ports: [30000, 20000] is not legal; it should be a first port"),
    ],
)
def test_a_complaint_names_the_setting_as_it_was_written(assignment: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RunConfig.read(merged(preset("digits", "sshm"), assigned({}, assignment)))
    assert str(caught.value).startswith(complaint)


def test_a_complaint_begins_with_the_file_that_it_is_about() -> None:
    with pytest.raises(ConfigError, match=r"^runs/x/config.yaml: 3 is not legal; it should be a mapping"):
        RunConfig.read(3, "runs/x/config.yaml")
