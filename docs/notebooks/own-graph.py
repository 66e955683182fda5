# %% [markdown]
# # Your own graph
#
# Any directed graph is a network: with branches, projections that skip layers, cycles and self-loops. Each
# projection has a λ of its own: 1 symmetric, ½ feedforward, 0 skew-symmetric.

# %%
import matplotlib.pyplot as plt

import dyadnet as dn

graph = dn.Network(
    inputs=64,
    populations=(
        dn.Population("retina", 60),
        dn.Population("left", 30, activation="tanh"),
        dn.Population("right", 30),
        dn.Population("out", 10),
    ),
    projections=(
        dn.Projection("input", "retina", gain=1.4),
        dn.Projection("retina", "left", lam=0.5),
        dn.Projection("retina", "right", lam=0.5),
        dn.Projection("left", "right", lam=0.0, gain=0.5),
        dn.Projection("right", "right", lam=0.5, gain=0.3),
        dn.Projection("right", "retina", lam=0.5, gain=0.3),
        dn.Projection("left", "out", lam=0.5, gain=1.4),
        dn.Projection("right", "out", lam=0.5, gain=1.4),
    ),
)
graph

# %% [markdown]
# Trained like any other, and beside a chain of as many neurons. The run's `report.html` draws the graph.


# %%
def trained(network: dn.Network, name: str) -> dn.Run:
    config = dn.RunConfig(
        network=network,
        data=dn.DataSpec(limit_train=600),
        learning=dn.Learning(epochs=10, learning_rate=5e-3),
        engine="local",
    )
    return dn.train(config, f"runs/{name}")


chain = trained(dn.layered(64, [60, 60], 10, lam=0.5, gain=1.4), "chain")
loops = trained(graph, "loops")

# %%
figure, axes = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
for run, style in ((chain, "--"), (loops, "-")):
    axes[0].plot(run.history["epoch"], 100 * (1 - run.history["test_accuracy"]), style, label=run.path.name)
axes[0].set(xlabel="epoch", ylabel="test error (%)")
axes[0].legend(frameon=False)
loops.plot(axes[1], "sweeps")
loops.plot(axes[2], "saturation")
plt.show()
