# %% [markdown]
# # Your own data
#
# Arrays in memory are all that a run needs: the network takes its sizes from them, labels keep their names.

# %%
import matplotlib.pyplot as plt
import numpy as np

import dyadnet as dn

draw = np.random.default_rng(0)
moon = draw.integers(0, 2, 600)
angle = draw.uniform(0, np.pi, 600)
X = np.column_stack([np.cos(angle), np.sin(angle)]) * np.where(moon, -1, 1)[:, None]
X += moon[:, None] * [1.0, 0.5] + draw.normal(0, 0.1, X.shape)
X = ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)
y = np.array(["waxing", "waning"])[moon]

# %% [markdown]
# A configuration shows what differs from the defaults. Features should be of about unit size, as here: far larger
# ones saturate the first layer.

# %%
config = dn.RunConfig(
    network=dn.layered(hidden=[40, 40], lam=0.0, gain=1.4),
    learning=dn.Learning(epochs=25, minibatch=20, learning_rate=5e-3),
    engine="local",
)
config

# %%
run = dn.train(config, "runs/moons", data=(X, y))
run

# %% [markdown]
# `predict` answers in your labels; `outputs` are the settled means of the output neurons.

# %%
run.predict(X[:5]), y[:5]

# %%
side = np.linspace(-2.4, 2.4, 90, dtype=np.float32)
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
outputs = run.outputs(grid)

figure, axis = plt.subplots(figsize=(5, 4), layout="constrained")
lean = (outputs[:, 1] - outputs[:, 0]).reshape(90, 90)
axis.contourf(side, side, lean, levels=15, cmap="RdBu", vmin=-1, vmax=1, alpha=0.7)
for label, marker, colour in (("waning", "o", "#8c1c2c"), ("waxing", "^", "#124a8a")):
    axis.scatter(*X[y == label].T, s=12, marker=marker, c=colour, edgecolors="white", linewidths=0.4, label=label)
axis.legend(frameon=False)
axis.set_title(f"test accuracy {run.test_accuracy:.1%}")
plt.show()
