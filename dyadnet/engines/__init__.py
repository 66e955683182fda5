"""What executes blocks: the local engine, and the process full of blocks that every engine is made of.

An entry point is a function ``launch(config, dataset, run, hooks) -> Summary`` with the signature of
`dyadnet.training.api.Launch`: it trains, wherever it does so, and returns what `dyadnet train` prints.
"""
