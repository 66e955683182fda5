"""The transport for speed: segments in shared memory on one machine, frames with CURVE between machines.

`connection` is the whole as hosts see it; below it `letters` are the bytes of a notice, `local` the sockets between
processes of one machine, by which the descriptors of segments travel, and `tcp` those between machines. Why it is made
this way: docs/adr/0011-the-fast-transport.md and docs/adr/0015-one-program-on-many-hosts.md.
"""
