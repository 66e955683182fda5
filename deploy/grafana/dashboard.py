"""Writes dashboards/dyadnet.json: what a researcher reads of a run, from the top down.

Rows: is it learning, is it settling, how asynchronous is it, is the machinery well. Change a panel here and run::

    python deploy/grafana/dashboard.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from panels import dashboard, of, panel, per_second

OUT = Path(__file__).with_name("dashboards") / "dyadnet.json"

ROWS: list[tuple[str, list[dict[str, Any]]]] = [
    (
        "Is it learning?",
        [
            panel(
                "stat",
                "State",
                "What the run is doing.",
                [(f"{of('run_state')} == 1", "{{state}}")],
                width=4,
                text="name",
            ),
            panel(
                "stat",
                "Validation",
                "Accuracy, or R² where targets are numbers; latest evaluation.",
                [(f"{of('accuracy_ratio', part='validation')} or {of('r2', part='validation')}", "")],
                width=4,
                unit="percentunit",
            ),
            panel(
                "stat",
                "Test",
                "Accuracy, or R² where targets are numbers; latest evaluation.",
                [(f"{of('accuracy_ratio', part='test')} or {of('r2', part='test')}", "")],
                width=4,
                unit="percentunit",
            ),
            panel(
                "stat",
                "Epochs",
                "Complete, of those planned.",
                [(of("epochs_total"), "done"), (of("epochs_planned"), "planned")],
                width=4,
            ),
            panel(
                "stat",
                "Samples",
                "Learned from, a second.",
                [(per_second("samples_total", part="train"), "")],
                width=4,
            ),
            panel("stat", "Learning rate", "In force.", [(of("learning_rate"), "")], width=4),
            panel(
                "timeseries",
                "Loss",
                "Mean a sample, by part of the data; logarithmic.",
                [(of("loss"), "{{part}}")],
                log=True,
            ),
            panel(
                "timeseries",
                "Accuracy",
                "Fraction of correct predictions, by part of the data.",
                [(of("accuracy_ratio"), "{{part}}")],
                unit="percentunit",
                most=1,
            ),
            panel(
                "timeseries",
                "R² and errors",
                "Where targets are numbers, by part of the data: R², and means of |s − y| and of (s − y)².",
                [
                    (of("r2"), "R², {{part}}"),
                    (of("mean_absolute_error"), "absolute error, {{part}}"),
                    (of("mean_squared_error"), "squared error, {{part}}"),
                ],
            ),
            panel(
                "timeseries",
                "PSNR",
                "Where targets are images, by part of the data.",
                [(of("psnr_decibels"), "{{part}}")],
                unit="dB",
            ),
            panel(
                "timeseries",
                "SSIM",
                "Structural similarity where targets are images, by part of the data.",
                [(of("ssim"), "{{part}}")],
                most=1,
            ),
            panel(
                "timeseries",
                "Size of an update",
                "Norm of a block's update over that of its weights; about 1e-3 "
                "is usual, and a block far from the others learns too fast or not at all.",
                [(f"{of('update_norm')} / {of('weight_norm')}", "{{block}}")],
                log=True,
            ),
            panel(
                "timeseries",
                "Cosine to the exact gradient",
                "Of the Hebbian contrast, sampled (metrics.cosine); 1 is perfect.",
                [(of("gradient_cosine"), "cosine")],
            ),
            panel(
                "timeseries",
                "β and λ",
                "Strength of the nudge, and λ of each projection.",
                [(of("beta"), "β"), (of("lambda"), "λ {{projection}}")],
            ),
            panel(
                "timeseries",
                "Objective",
                "Saddle objective (paper, eq. 4) of the latest recorded minibatch.",
                [(of("objective"), "objective")],
            ),
        ],
    ),
    (
        "Is it settling?",
        [
            panel(
                "timeseries",
                "Sweeps",
                "Of each training relaxation: median and 90th percentile.",
                [
                    (
                        f"histogram_quantile({q}, "
                        f"sum by (le) ({per_second('relaxation_sweeps_bucket', part='train')}))",
                        name,
                    )
                    for q, name in ((0.5, "median"), (0.9, "90%"))
                ],
            ),
            panel(
                "timeseries",
                "Capped",
                "Fraction of phases that ended at their cap, unsettled.",
                [
                    (
                        f"sum by (part) ({per_second('capped_phases_total')}) "
                        f"/ sum by (part) ({per_second('phases_total')})",
                        "{{part}}",
                    )
                ],
                unit="percentunit",
                most=1,
            ),
            panel(
                "timeseries",
                "Residual",
                "Largest |A*−A| of each block at its last firing, and the tolerance under which it counts as settled.",
                [(of("residual"), "{{block}}"), (of("tolerance", quantity="mean"), "tolerance")],
                log=True,
            ),
            panel(
                "timeseries",
                "Residual of differences",
                "Largest |D*−D|, relative to the largest |D|.",
                [
                    (of("residual_difference_ratio"), "{{block}}"),
                    (of("tolerance", quantity="difference"), "tolerance"),
                ],
                log=True,
            ),
            panel(
                "timeseries",
                "Saturated",
                "Fraction of compartments at either bound.",
                [(of("saturated_ratio"), "{{block}}")],
                unit="percentunit",
                most=1,
            ),
            panel(
                "timeseries",
                "Spectral radius and step",
                "μ grows in training; the step that it allows shrinks.",
                [(of("spectral_radius"), "μ"), (of("step"), "step")],
            ),
            panel("timeseries", "Means", "Root mean square of m.", [(of("mean_norm"), "{{block}}")], width=12),
            panel(
                "timeseries",
                "Differences",
                "Root mean square of d, which carry the error; differences that vanish "
                "towards the input learn nothing there.",
                [(of("difference_norm"), "{{block}}")],
                width=12,
                log=True,
            ),
        ],
    ),
    (
        "How asynchronous is it?",
        [
            panel(
                "timeseries",
                "Updates",
                "Firings of each block, a second.",
                [(per_second("updates_total"), "{{block}}")],
            ),
            panel(
                "timeseries",
                "Age in virtual time",
                "Ticks since the oldest message that a block's last firing read was sent.",
                [(of("message_age_ticks"), "{{block}}")],
            ),
            panel(
                "timeseries",
                "Age in real time",
                "Of what updates read: median and 99th percentile, by edge; free-running mode.",
                [
                    (
                        f"histogram_quantile({q}, sum by (edge, le) ({per_second('message_age_seconds_bucket')}))",
                        "{{edge}} " + name,
                    )
                    for q, name in ((0.5, "median"), (0.99, "99%"))
                ],
                unit="s",
                log=True,
            ),
            panel(
                "timeseries",
                "Messages",
                "Sent a second, by edge.",
                [(f"sum by (edge) ({per_second('messages_total')})", "{{edge}}")],
            ),
            panel(
                "timeseries",
                "Numbers and bytes",
                "In messages, a second.",
                [
                    (f"sum({per_second('message_values_total')})", "numbers"),
                    (f"sum({per_second('message_bytes_total')})", "bytes"),
                ],
            ),
            panel(
                "timeseries",
                "What became of messages",
                "Fraction that a channel delayed, lost or doubled, and that came after a newer one.",
                [
                    (f"sum({per_second(f'messages_{fate}_total')}) / sum({per_second('messages_total')})", fate)
                    for fate in ("delayed", "dropped", "duplicated", "stale")
                ],
                unit="percentunit",
            ),
            panel(
                "timeseries",
                "What became of numbers",
                "Fraction that was rounded, and that was not sent.",
                [
                    (
                        f"sum({per_second(f'message_values_{fate}_total')}) "
                        f"/ sum({per_second('message_values_total')})",
                        fate,
                    )
                    for fate in ("quantised", "suppressed")
                ],
                width=12,
                unit="percentunit",
            ),
            panel(
                "timeseries",
                "Delay and time constant",
                "δ that was measured, and T that follows it; free-running mode.",
                [(of("delay_seconds"), "δ"), (of("time_constant_seconds"), "T")],
                width=12,
                unit="s",
            ),
        ],
    ),
    (
        "Is the machinery well?",
        [
            panel(
                "stat",
                "Silence",
                "Since a relaxation last ended.",
                [(f"time() - {of('run_progress_timestamp_seconds')}", "")],
                width=4,
                unit="s",
            ),
            panel(
                "stat",
                "Running",
                "Since the run began.",
                [(f"time() - {of('run_started_timestamp_seconds')}", "")],
                width=4,
                unit="s",
            ),
            panel("stat", "Minibatches", "A second.", [(per_second("minibatches_total"), "")], width=4),
            panel(
                "stat",
                "Restarts",
                "Lives of actors beyond the first.",
                [(f"sum({of('actor_incarnation')})", "")],
                width=4,
            ),
            panel(
                "stat",
                "Refused",
                "Messages that actors refused, but for late ones.",
                [(f"sum({of('messages_refused_total', reason='!late')}) or vector(0)", "")],
                width=4,
            ),
            panel("stat", "Diverged", "Relaxations that ran away.", [(of("diverged_total"), "")], width=4),
            panel(
                "timeseries",
                "Actors' time",
                "Share of each actor's time, by what it does.",
                [
                    (
                        f"sum by (activity) ({per_second('actor_seconds_total')}) "
                        f"/ scalar(sum({per_second('actor_seconds_total')}))",
                        "{{activity}}",
                    )
                ],
                unit="percentunit",
                stacked=True,
                most=1,
            ),
            panel(
                "timeseries",
                "Waiting",
                "Share of its time that each actor waits for others: the one that waits least holds up the rest.",
                [
                    (
                        f"sum by (actor) ({per_second('actor_seconds_total', activity='waiting')}) "
                        f"/ sum by (actor) ({per_second('actor_seconds_total')})",
                        "{{actor}}",
                    )
                ],
                unit="percentunit",
                most=1,
            ),
            panel(
                "timeseries",
                "Coordinator's time",
                "Seconds a second, by what it does.",
                [(f"sum by (activity) ({per_second('coordinator_seconds_total')})", "{{activity}}")],
                stacked=True,
            ),
            panel(
                "timeseries",
                "Wire",
                "Bytes that each actor sends to others, a second.",
                [(per_second("actor_wire_bytes_total"), "{{actor}}")],
                unit="Bps",
            ),
            panel(
                "timeseries",
                "Letters",
                "That each actor sends to others, a second.",
                [(per_second("actor_letters_total"), "{{actor}}")],
            ),
            panel(
                "timeseries",
                "Age of the checkpoint",
                "What would be lost if the run died now.",
                [(f"time() - {of('checkpoint_timestamp_seconds')}", "{{weights}}")],
                unit="s",
            ),
            panel(
                "timeseries",
                "Checkpoints",
                "How long training stood still for one.",
                [(of("checkpoint_duration_seconds"), "{{weights}}")],
                unit="s",
            ),
            panel(
                "stat",
                "Size of the checkpoint",
                "Of its files.",
                [(of("checkpoint_bytes", weights="checkpoint"), "")],
                width=4,
                height=8,
                unit="bytes",
            ),
            panel("table", "Where actors run", "Address and process of each.", [(of("actor_info"), "")], width=12),
        ],
    ),
]


if __name__ == "__main__":
    OUT.write_text(json.dumps(dashboard(ROWS), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
