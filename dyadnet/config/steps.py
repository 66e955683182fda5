"""Step rules that users write: their base class, what they are told about the run, and their registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from dyadnet.registry import Open, Registry, check_spec
from dyadnet.schema import Spec

LARGEST_STEP = 2.0
"""Largest stable η. Beyond it, even a neuron without inputs from other neurons diverges."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Properties of a network that limit the step: the location of its modes, and the delay between its blocks.

    Attributes
    ----------
    lag
        τ of the recursion a(t+1) = (1−η)a(t) + ηe·a(t−τ) that a mode e obeys, in firings of the fastest block.
    sign
        −1 if some κ is below 0 throughout the run (modes are imaginary), else +1 if some is above 0 (modes are real),
        else 0.
    mixed
        Whether some κ are below 0 and others above.
    forest
        Whether the graph of populations has no cycle.
    red_black
        Whether neighbours fire in turn, at least the largest delay apart. Then the step is the ω of
        over-relaxation.
    synchronous
        Whether every block fires at every tick.
    two_way
        Whether the only cycles are pairs of projections, one in each direction. Then modes may lie anywhere.
    """

    lag: int = 0
    sign: int = -1
    mixed: bool = False
    forest: bool = True
    red_black: bool = False
    synchronous: bool = True
    two_way: bool = False


class OwnStep(Spec, ABC):
    """Base class of a user's step rule, registered by ``dyadnet.register("step", name)``.

    A derived class has a field ``kind: Literal[name] = name``, its parameters as further fields, and the method
    `step`.

    Attributes
    ----------
    needs_radius
        Whether the step depends on the spectral radius. If so, the radius is estimated every few minibatches.
    """

    needs_radius: ClassVar[bool] = True

    @abstractmethod
    def step(self, radius: float, about: Circumstances) -> float:
        """Return η (ω where neighbours take turns), above 0 and at most `LARGEST_STEP`.

        Parameters
        ----------
        radius
            Estimated spectral radius ρ of F(θ+θᵀ), which includes the factor √|κ|; 0 if `needs_radius` is False.
        about
            Properties of the run.
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
"""All registered step rules. Those of ``auto`` are in `dyadnet.dynamics.step_size`."""

if TYPE_CHECKING:
    Step = Literal["auto"] | float | OwnStep
else:
    # A registered rule never reaches the union. So errors about a number do not mention classes.
    Step = Annotated[Literal["auto"] | Annotated[float, Field(gt=0, le=LARGEST_STEP)], Open(STEPS)]
"""η as a configuration writes it: ``auto``, a number, or ``{kind: name, ...}`` of a registered rule."""
