"""Step rules of a user's own: what one states, what it is told, and the registry of all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from dyadnet.registry import Open, Registry, check_spec
from dyadnet.schema import Spec

LARGEST_STEP = 2.0
"""η beyond which even a neuron that hears nobody runs away."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a step has to suit: where the modes of a network lie, and how late its blocks hear each other.

    Attributes
    ----------
    lag
        τ of the recursion a(t+1) = (1−η)a(t) + ηe·a(t−τ) that a mode e obeys, in firings of the fastest block.
    sign
        −1 if some κ is below 0 throughout the run (modes are imaginary), else +1 if some is above 0 (modes are real),
        else 0.
    mixed
        Whether some are below 0 and others above.
    forest
        Whether the graph of populations has no cycle.
    red_black
        Whether neighbours fire in turn, at least the largest delay apart: the step is an ω then.
    synchronous
        Whether every block fires at every tick.
    two_way
        Whether its only cycles are those of two projections, one each way: modes may lie anywhere then.
    """

    lag: int = 0
    sign: int = -1
    mixed: bool = False
    forest: bool = True
    red_black: bool = False
    synchronous: bool = True
    two_way: bool = False


class OwnStep(Spec, ABC):
    """A step rule that a user writes and registers: ``dyadnet.register("step", name)``.

    A class that derives from it has a field ``kind: Literal[name] = name``, parameters as further fields, and `step`.

    Attributes
    ----------
    needs_radius
        Whether the step depends on the spectral radius, which is estimated every few minibatches then.
    """

    needs_radius: ClassVar[bool] = True

    @abstractmethod
    def step(self, radius: float, about: Circumstances) -> float:
        """η (ω where neighbours take turns): above 0, at most `LARGEST_STEP`.

        Parameters
        ----------
        radius
            The estimated spectral radius ρ of F(θ+θᵀ), √|κ| in it; 0 if `needs_radius` is False.
        about
            Of the run.
        """


class _Steps(Registry[Any]):
    def legal(self, name: str) -> str:
        own = ", ".join(self)
        return (f"{own}; " if own else "") + "one of your own is registered by dyadnet.register first"


def _problem(name: str, thing: Any) -> str | None:
    if name == "auto":
        return "this name is built in; choose another"
    return check_spec(OwnStep)(name, thing)


STEPS: Registry[type[OwnStep]] = _Steps("step", check=_problem)
"""Every step rule that was registered; those of ``auto`` are in `dyadnet.dynamics.step_size`."""

if TYPE_CHECKING:
    Step = Literal["auto"] | float | OwnStep
else:
    # A registered rule never reaches the union, so that complaints about a number do not speak of classes.
    Step = Annotated[Literal["auto"] | Annotated[float, Field(gt=0, le=LARGEST_STEP)], Open(STEPS)]
"""η as a configuration writes it: ``auto``, a number, or ``{kind: name, ...}`` of a registered rule."""
