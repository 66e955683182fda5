# %% [markdown]
# # Against back-propagation
#
# The three models of the paper and ordinary back-propagation: the same sizes, data and minibatches, three seeds. With
# one activation, learning rate and start, the feedforward network and back-propagation learn the same.

# %%
import matplotlib.pyplot as plt
import numpy as np

import dyadnet as dn
from dyadnet.config.presets import preset
from dyadnet.runs.watcher import Silent

MODELS = ("hm", "ffm", "sshm", "backprop")


def trained(model: str, seed: int) -> dn.Run:
    """Ordinary tanh layers for all but the symmetric network, which keeps the bounded neurons of its preset."""
    values = preset("digits", "ffm" if model == "backprop" else model)
    values["data"] |= {"limit_train": 800, "limit_test": 300}
    if model != "hm":
        values["network"]["layered"] |= {"activation": "tanh", "output_activation": "linear", "gain": 1.0}
        values["learning"]["learning_rate"] = 2e-3
    values["learning"]["epochs"] = 10
    values |= {"baseline": "backprop"} if model == "backprop" else {}
    config = dn.RunConfig.read(values | {"engine": "local", "seed": seed})
    return dn.train(config, f"runs/{model}-{seed}", Silent(), report=False)


runs = {model: [trained(model, seed) for seed in range(3)] for model in MODELS}

# %%
figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
for model, seeds in runs.items():
    error = 100 * (1 - np.array([run.history["test_accuracy"] for run in seeds]))
    mean, deviation = error.mean(axis=0), error.std(axis=0, ddof=1)
    epochs = seeds[0].history["epoch"]
    (line,) = axis.plot(epochs, mean, label=model, ls="--" if model == "backprop" else "-")
    axis.fill_between(epochs, mean - deviation, mean + deviation, color=line.get_color(), alpha=0.15, lw=0)
axis.set(xlabel="epoch", ylabel="test error (%)")
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# A report of all runs tells those that differ in nothing but the seed together, as mean ± standard deviation.

# %%
from dyadnet.reporting import write

write([run for seeds in runs.values() for run in seeds], "runs/compared.html")
{model: f"{np.mean([run.test_accuracy for run in seeds]):.1%}" for model, seeds in runs.items()}
