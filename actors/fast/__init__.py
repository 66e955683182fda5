"""The transport for speed: arrays in shared memory on one machine, ZeroMQ with CURVE between machines.

`transport` is the whole as hosts see it; below it `segments` are the shared memory and its credit, `letters` the bytes
of a notice, `local` the sockets between processes of one machine, `tcp` those between machines, and `board` the
verdict at a check tick where all hosts share a machine. Why it is made this way: docs/adr/0011-the-fast-transport.md.
"""
