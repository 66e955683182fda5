"""The imperfections of a whole network: those of every channel and device, and exceptions."""

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
        Of every channel, and by projection (``pre->post``, both directions). What an exception leaves out is as in
        `channel`.
    device, devices
        Of every block, and by population or block. What an exception leaves out is as in `device`, for a block as for
        its population.
    """

    channel: Channel = Channel()
    channels: dict[str, Channel] = {}
    device: Device = Device()
    devices: dict[str, Device] = {}

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        """Write out what exceptions leave out, so that a resolved configuration needs no merging."""
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
        """Of both directions of a projection."""
        return self.channels.get(projection, self.channel)

    def device_of(self, block: str) -> Device:
        """Of a block: its own, its population's, or everyone's."""
        return self.devices.get(block, self.devices.get(block.split(".")[0], self.device))

    @property
    def counters(self) -> tuple[Counter, ...]:
        """What imperfections of a user's own count, each name once."""
        found = (effect.counter for channel in (self.channel, *self.channels.values()) for effect in channel.own)
        return tuple({counter.name: counter for counter in found}.values())

    def noisy(self, network: Network) -> bool:
        """Whether anything in the network fluctuates for ever, so that it never settles."""
        channels = (self.channel_of(projection.name) for projection in network.recurrent)
        blocks = [p.name for p in network.populations]
        blocks += [name for name in self.devices if name.split(".")[0] in blocks]
        return any(c.noisy for c in channels) or any(self.device_of(name).noisy for name in blocks)


def _over(base: Any, exception: Any) -> Any:
    """`base` with what `exception` says in its place; anything that is no mapping is left to validation."""
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
