# %% [markdown]
# # Hardware-like imperfections
#
# Trained in the ideal world, used on a device: how much of each imperfection do weights stand? And how much more if
# the network is trained on the device?

# %%
import matplotlib.pyplot as plt

import dyadnet as dn


def trained(name: str, **device: object) -> dn.Run:
    config = dn.RunConfig(
        network=dn.layered(64, [60, 40], 10, lam=0.0, gain=1.4),
        data=dn.DataSpec(limit_train=1000, limit_test=300),
        imperfections={"device": device},
        learning=dn.Learning(epochs=8, learning_rate=5e-3),
        engine="local",
    )
    return dn.train(config, f"runs/{name}")


ideal = trained("ideal")
ideal

# %% [markdown]
# `evaluate` takes the saved weights and other imperfections. Each device draws its neurons and synapses anew from
# the seed.

# %%
LEVELS = {
    "weights": ("bits of weights", "bits", [8, 6, 4, 3, 2]),
    "mismatch": ("spread between forward and backward use", "spread", [0.0, 0.1, 0.2, 0.4, 0.8]),
    "gain": ("spread of gains", "spread", [0.0, 0.1, 0.2, 0.4, 0.8]),
}


def on_device(run: dn.Run, kind: str, field: str, level: float) -> float:
    changes = {"imperfections": {"device": {kind: {field: level}}}}
    return 100 * dn.evaluate(run, changes=changes)["accuracy"]


used = {kind: [on_device(ideal, kind, field, level) for level in levels] for kind, (_, field, levels) in LEVELS.items()}

# %%
adapted = {}
for kind, (_, field, levels) in LEVELS.items():
    runs = [trained(f"{kind}-{level}", **{kind: {field: level}}) for level in levels[-2:]]
    adapted[kind] = [100 * run.test_accuracy for run in runs]

# %%
figure, axes = plt.subplots(1, 3, figsize=(12, 3.4), sharey=True, layout="constrained")
for axis, (kind, (label, _, levels)) in zip(axes, LEVELS.items(), strict=True):
    axis.plot(range(len(levels)), used[kind], marker="o", label="trained without")
    axis.plot(range(len(levels))[-2:], adapted[kind], marker="^", ls="--", label="trained with it")
    axis.set_xticks(range(len(levels)), [f"{level:g}" for level in levels])
    axis.set_xlabel(label)
axes[0].set_ylabel("test accuracy (%)")
axes[0].legend(frameon=False)
plt.show()
