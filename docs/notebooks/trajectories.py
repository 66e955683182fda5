# %% [markdown]
# # What neurons do, tick by tick
#
# A dyadic neuron has two compartments, a⁺ and a⁻. While a minibatch settles they move; their half difference is what
# the neuron learns from. Probes record chosen neurons at every tick.

# %%
import matplotlib.pyplot as plt

import dyadnet as dn


def probed(name: str, **dynamics: object) -> dn.Run:
    config = dn.RunConfig(
        network=dn.layered(64, [60, 40], 10, lam=0.0, gain=1.4),
        data=dn.DataSpec(limit_train=600),
        dynamics=dn.Dynamics(**dynamics),
        learning=dn.Learning(epochs=3, learning_rate=5e-3),
        probe={"neurons": {"h1": [0, 3, 5], "h2": [0, 1, 2], "out": [0, 1, 2]}, "every": 50},
        engine="local",
    )
    return dn.train(config, f"runs/{name}")


prompt = probed("prompt", step=0.3, clock="every-tick")
late = probed("late", step=0.05, clock="every-tick", delay=4, sweeps=150, nudged_sweeps=150)
auto = probed("auto", delay=4)

# %% [markdown]
# The same network hears its neighbours at the next tick, or four ticks late with a step that is small enough for
# that, or four ticks late with the clock and the step that dyadnet chooses for the delay. Solid is a⁺, dashed a⁻.

# %%
figure, axes = plt.subplots(3, 2, figsize=(10, 7.5), layout="constrained")
for row, (run, what) in zip(axes, ((prompt, "no delay"), (late, "delay 4"), (auto, "delay 4, auto")), strict=True):
    first = min(run.probes)
    run.plot_probe("out", row[0], relaxation=first)
    run.plot_probe("out", row[1], relaxation=first, what="difference")
    row[0].set_title(f"{what}: output neurons")
    row[1].set_title(f"{what}: what they learn from")
plt.show()

# %% [markdown]
# `run.probes` has the arrays, by relaxation and block, for anything else.

# %%
{name: array.shape for name, array in prompt.probes[min(prompt.probes)].items() if name.startswith("h1")}
