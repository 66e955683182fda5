"""Imperfections of a whole network: common ones for all channels and devices, and exceptions."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from dyadnet.imperfections.channel import Channel
from dyadnet.imperfections.device import Device
from dyadnet.imperfections.own import Counter
from dyadnet.network.description import Network
from dyadnet.schema import Spec


class Imperfections(Spec):
    """Imperfections of a whole network, with exceptions.

    Attributes
    ----------
    channel, channels
        Imperfections of all channels, and exceptions by projection (``pre->post``, both directions). Settings that an
        exception omits are taken from `channel`.
    device, devices
        Imperfections of all blocks, and exceptions by population or block. Settings that an exception omits are taken
        from the population's exception (for a block), else from `device`.
    """

    channel: Channel = Channel()
    channels: dict[str, Channel] = {}
    device: Device = Device()
    devices: dict[str, Device] = {}

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        """Complete the exceptions, so that a resolved configuration needs no merging."""
        if not isinstance(values, dict):
            return values
        values = dict(values)
        for all_, some in (("channel", "channels"), ("device", "devices")):
            exceptions = values.get(some)
            if not isinstance(exceptions, dict):
                continue
            common = values.get(all_, {})
            filled: dict[Any, Any] = {}
            for name in sorted(exceptions, key=lambda name: "." in str(name)):
                base = filled.get(str(name).split(".")[0], common) if some == "devices" else common
                filled[name] = _over(base, exceptions[name])
            values[some] = {name: filled[name] for name in exceptions}
        return values

    def ideal(self) -> bool:
        """Whether the whole network is ideal."""
        channels, devices = (self.channel, *self.channels.values()), (self.device, *self.devices.values())
        return all(channel.ideal() for channel in channels) and all(device.ideal() for device in devices)

    def channel_of(self, projection: str) -> Channel:
        """Return the imperfections of both directions of a projection."""
        return self.channels.get(projection, self.channel)

    def device_of(self, block: str) -> Device:
        """Return the imperfections of a block: its own exception, its population's, or the common ones."""
        return self.devices.get(block, self.devices.get(block.split(".")[0], self.device))

    @property
    def counters(self) -> tuple[Counter, ...]:
        """Counters of users' own imperfections, each name once."""
        found = (effect.counter for channel in (self.channel, *self.channels.values()) for effect in channel.own)
        return tuple({counter.name: counter for counter in found}.values())

    def noisy(self, network: Network) -> bool:
        """Whether anything in the network fluctuates permanently, so that it never settles."""
        channels = (self.channel_of(projection.name) for projection in network.recurrent)
        blocks = [p.name for p in network.populations]
        blocks += [name for name in self.devices if name.split(".")[0] in blocks]
        return any(c.noisy for c in channels) or any(self.device_of(name).noisy for name in blocks)


def _over(base: Any, exception: Any) -> Any:
    """Merge `exception` into `base`. Values that are not mappings are left to validation."""
    base, exception = _plain(base), _plain(exception)
    if not isinstance(base, dict) or not isinstance(exception, dict):
        return exception
    filled = dict(base)
    for key, value in exception.items():
        old, value = filled.get(key), _plain(value)
        filled[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    return filled


def _plain(value: Any) -> Any:
    return value.model_dump(exclude_unset=True) if isinstance(value, Spec) else value
