"""The card by which an endpoint is found and identified; cards are exchanged only through Ray."""

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
        Identifier that is equal for endpoints that can share memory.
    life
        Name of this life, and of the endpoint's socket for its own machine.
    secret
        Secret that a connecting peer must know.
    address
        Address for other machines, ``tcp://HOST:PORT``; empty if the endpoint accepts no packets from there.
    key
        Public CURVE key of the endpoint; empty without CURVE.
    """

    index: int
    label: str
    machine: str
    life: str
    secret: bytes = field(repr=False)
    address: str = ""
    key: bytes = b""


def new_card(index: int, label: str) -> Card:
    """Return a card for an endpoint that begins now."""
    return Card(index, label, machine(), secrets.token_hex(12), secrets.token_bytes(32))


def machine() -> str:
    """Return what processes that can share memory have in common: kernel boot, network namespace and user.

    Without nameless memory, no two processes can share memory, so the result is unique.
    """
    if not can_share():
        return secrets.token_hex(12)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot} {Path('/proc/self/ns/net').stat().st_ino} {os.getuid()}"
