# %% [markdown]
# # A robustness map
#
# Does the network still learn when messages come late and noisy? A study answers with a grid of small runs. It is
# a YAML file on the command line (`dyadnet study`), and the same mapping in Python.

# %%
from pathlib import Path

import matplotlib.pyplot as plt

from dyadnet.config import ClusterSpec
from dyadnet.study import Study, load
from dyadnet_actors.study.drive import drive

study = Study.read(
    {
        "name": "late-and-noisy",
        "title": "Late and noisy messages",
        "base": {
            "data": "digits",
            "set": {
                "data.limit_train": 600,
                "data.limit_test": 200,
                "network.layered.hidden": [60, 40],
                "dynamics": {"sweeps": 15, "nudged_sweeps": 15},
            },
        },
        "axes": [
            {"key": "dynamics.delay", "grid": [1, 4, 8], "name": "delay", "label": "delay (ticks)"},
            {
                "key": "imperfections.channel.additive.difference",
                "grid": [0.0, 0.01, 0.1],
                "name": "noise",
                "label": "noise on differences, σ",
            },
        ],
        "models": ["sshm"],
        "seeds": 3,
        "epochs": 5,
        "interval": "se",
        "differences": True,
    }
)
ended = drive(study, Path("runs/late-and-noisy"), ClusterSpec())
f"{ended.ok} of {ended.trials} runs ended well"

# %% [markdown]
# Seeds differ among each other. What lateness and noise cost is clearer in the difference to the base alone, seed
# by seed (±: standard error of the mean).

# %%
results = load("runs/late-and-noisy")
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
results.plot("test_accuracy", axes[0])
results.plot("test_accuracy_difference", axes[1])
plt.show()

# %%
results.cell("test_accuracy_difference", delay=8, noise=0.1)
