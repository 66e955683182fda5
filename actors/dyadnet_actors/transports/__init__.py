"""How hosts reach each other: segments in shared memory on one machine, encrypted frames between machines.

`connection` is the interface for hosts. Below it, `notices` defines the bytes of a notice. `local` has the sockets
between processes of one machine, over which the descriptors of segments travel. `tcp` has the sockets between machines.
The reasons for this design are in docs/adr/0011-the-fast-transport.md and docs/adr/0015-one-program-on-many-hosts.md.
"""
