"""How hosts reach each other: segments in shared memory on one machine, encrypted frames between machines.

`connection` is the whole as hosts see it; below it `letters` are the bytes of a notice, `local` the sockets between
processes of one machine, by which the descriptors of segments travel, and `tcp` those between machines. Why it is made
this way: docs/adr/0011-the-fast-transport.md and docs/adr/0015-one-program-on-many-hosts.md.
"""
