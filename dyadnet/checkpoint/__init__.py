"""Checkpoints: everything that a run needs to resume bit for bit, written atomically.

A checkpoint contains the state of the coordinator (`position`) and of every block (`blocks`). `manifest` lists the
files of a checkpoint with their hashes. `rhythm` decides when a checkpoint is due and which ones to remove; `finding`
finds the newest intact one; `lock` keeps two runs out of the same folder; `continuing` defines which settings may
change when a run resumes. `dyadnet.files.store` reads and writes the files, and `dyadnet.training.checkpoint_writer`
writes checkpoints during a run.
"""
