"""Imperfections of channels and devices: one small record each, neutral by default. They can be combined freely.

The records describe the imperfections; `dyadnet.program` and `dyadnet.imperfections.realized` implement them. Delays
are not part of this package: `dyadnet.timing.delays` defines their laws, in ticks.
"""
