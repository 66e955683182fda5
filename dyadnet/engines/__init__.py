"""Engines execute blocks. They are found by name through the entry-point group ``dyadnet.engines``.

An entry point is a function ``launch(config, dataset, run, hooks) -> Summary`` with the signature of
`dyadnet.training.api.Launch`: it trains, wherever it does so, and returns what `dyadnet train` prints.
"""
