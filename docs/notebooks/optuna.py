# %% [markdown]
# # Hyperparameters with Optuna
#
# A run is a function of its settings, so any search will do. A callback tells Optuna how it goes, and ends what is
# not worth going on with.

# %%
import matplotlib.pyplot as plt
import optuna

import dyadnet as dn
from dyadnet.runs.watcher import Silent

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Reports(dn.Callback):
    """Tells a trial the validation accuracy after every epoch, and stops the run if it should be pruned."""

    def __init__(self, trial: optuna.Trial) -> None:
        self.trial = trial

    def on_epoch_end(self, run: dn.Run, record: dict) -> None:
        self.trial.report(record["validation"]["accuracy"], record["epoch"])
        if self.trial.should_prune():
            run.stop("pruned")


def accuracy(trial: optuna.Trial) -> float:
    config = dn.RunConfig(
        network=dn.layered(
            64, [40], 10, lam=trial.suggest_float("lam", 0, 1), gain=trial.suggest_float("gain", 0.3, 2)
        ),
        data=dn.DataSpec(limit_train=600, limit_test=200),
        learning=dn.Learning(epochs=5, learning_rate=trial.suggest_float("rate", 1e-3, 5e-2, log=True)),
        engine="local",
    )
    run = dn.train(config, f"runs/trial-{trial.number}", Silent(), callbacks=[Reports(trial)], report=False)
    if run.status.state == "stopped":
        raise optuna.TrialPruned
    return run.validation_accuracy


search = optuna.create_study(
    direction="maximize",
    sampler=optuna.samplers.TPESampler(seed=1),
    pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
)
search.optimize(accuracy, n_trials=20, catch=[dn.DivergedError])
search.best_params, search.best_value

# %%
frame = search.trials_dataframe()
figure, axes = plt.subplots(1, 3, figsize=(12, 3.4), sharey=True, layout="constrained")
for axis, name in zip(axes, ("lam", "gain", "rate"), strict=True):
    for state, marker in (("COMPLETE", "o"), ("PRUNED", "x")):
        rows = frame[frame.state == state]
        axis.scatter(rows[f"params_{name}"], 100 * rows.value, marker=marker, c=rows.number, label=state.lower())
    axis.set_xlabel({"lam": "λ", "gain": "gain", "rate": "learning rate, log"}[name])
axes[2].set_xscale("log")
axes[0].set_ylabel("validation accuracy (%)")
axes[0].legend(frameon=False)
plt.show()
