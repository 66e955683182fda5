"""Engines execute blocks: the local engine, and the group of blocks in one process that every engine uses.

An entry point of the group ``dyadnet.engines`` is a function ``launch(config, dataset, folder, watcher) -> Summary``
with the signature of `dyadnet.training.api.Launch`. It trains, in any process, and returns the summary that
`dyadnet train` prints.
"""
