"""Checkpoints: all that a run needs to go on to the same bits, whole or not at all.

What is to be kept is `position` (of the coordinator) and `blocks` (of every block); `manifest` says of what files a
checkpoint consists and what is in them; `store` writes and reads files, `rhythm` decides when and what to remove,
`keeper` carries it out; `finding` looks for the newest one that is intact, `lock` keeps two runs apart, and `resume`
says which settings may be others afterwards.
"""
