"""The slow reference of lockstep: every block by itself, message after message, in Python.

The compiled program (`dyadnet.program`) must equal it to the bit: it is the specification, in which every part can be
looked at. What both use, such as clocks, delays, devices and the stop rule's numbers, is in `dyadnet`.
"""
