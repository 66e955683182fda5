"""What channels and devices do worse than ideal ones: one small record each, neutral by default.

Records say what is wanted; `dyadnet.program` and `dyadnet.imperfections.realized` do it. Any of them may be
combined. Delays are not here but in `dyadnet.timing.delays`: they have laws of their own, in ticks.
"""
