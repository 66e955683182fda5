# %% [markdown]
# # Free-running, with a straggler
#
# Nothing is synchronised here: every layer is a process that integrates its neurons in real time on whatever it has
# heard last. One of them is made four times slower than it could be. A run that names no engine says what it starts.

# %%
import matplotlib.pyplot as plt
from IPython.display import Image

import dyadnet as dn


def config(**more: object) -> dn.RunConfig:
    return dn.RunConfig(
        network=dn.layered(64, [40, 40], 10, lam=0.5, gain=0.7),
        data=dn.DataSpec(limit_train=400, limit_test=100),
        learning=dn.Learning(epochs=3, minibatch=40, learning_rate=1e-2),
        **more,
    )


lockstep = dn.train(config(engine="local"), "runs/lockstep")
free = dn.train(config(dynamics=dn.Dynamics(mode={"kind": "free"})), "runs/free")
slow = dn.train(config(dynamics=dn.Dynamics(mode={"kind": "free"}), cluster={"slow": {"h1": 4}}), "runs/slow")

# %%
figure, axis = plt.subplots(figsize=(5, 3.4), layout="constrained")
for run, style in ((lockstep, "k:"), (free, "-"), (slow, "--")):
    axis.plot(run.history["epoch"], run.history["test_loss"], style, label=run.path.name)
axis.set(xlabel="epoch", ylabel="test loss", xticks=lockstep.history["epoch"])
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# How old was what each update read, and how many updates a second did each layer make? These numbers are the
# machine's, and other ones the next time.

# %%
Image(str(slow.path / "ages.png"), width=900)
