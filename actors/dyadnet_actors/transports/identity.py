"""Who is who: the card by which an endpoint is found and known, exchanged through Ray and nowhere else."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from dyadnet_actors.hosts.shared_memory import can_share


@dataclass(frozen=True, slots=True)
class Card:
    """One life of one endpoint: a host, or the coordinator, whose index is the number of hosts.

    Attributes
    ----------
    label
        A name that a user recognises.
    machine
        The same for endpoints that can share memory.
    life
        Name of its socket for its own machine, and of this life.
    secret
        Who connects must know it.
    address
        For other machines, ``tcp://HOST:PORT``; empty if it takes no letters from there.
    key
        Its public CURVE key; empty without CURVE.
    """

    index: int
    label: str
    machine: str
    life: str
    secret: bytes = field(repr=False)
    address: str = ""
    key: bytes = b""


def new_card(index: int, label: str) -> Card:
    """A card for an endpoint that begins now."""
    return Card(index, label, machine(), secrets.token_hex(12), secrets.token_bytes(32))


def machine() -> str:
    """What processes that can share memory have in common: the kernel's boot, the network namespace and the user.

    Where there is no memory without names, no two processes do.
    """
    if not can_share():
        return secrets.token_hex(12)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot} {Path('/proc/self/ns/net').stat().st_ino} {os.getuid()}"
