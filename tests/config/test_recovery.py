"""What is decided after a failure."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dyadnet.config.recovery import Failure, Recovery, RecoverySpec

KINDS = st.sampled_from(["actor", "node", "link", "stall", "coordinator"])
FAILURE = st.builds(Failure, what=KINDS, who=st.just(("h1",)), why=st.just("it died"), minibatch=st.integers(1, 6))
FAILURES = st.lists(FAILURE, max_size=40)
SPECS = st.builds(
    RecoverySpec, actor_failures=st.integers(0, 6), node_failures=st.integers(0, 6), same_minibatch=st.integers(1, 6)
)


def survived(spec: RecoverySpec, failures: list[Failure]) -> int:
    """How many failures a run goes through before it ends."""
    recovery = Recovery(spec)
    for count, failure in enumerate(failures):
        if recovery.refuse(failure) is not None:
            return count
    return len(failures)


@given(SPECS, FAILURES)
def test_no_budget_is_ever_exceeded(spec: RecoverySpec, failures: list[Failure]) -> None:
    went_on = failures[: survived(spec, failures)]
    nodes = sum(failure.what == "node" for failure in went_on)
    assert nodes <= spec.node_failures
    assert len(went_on) - nodes <= spec.actor_failures
    for minibatch in range(1, 7):
        assert sum(failure.minibatch == minibatch for failure in went_on) < spec.same_minibatch


@given(SPECS, FAILURES)
def test_a_run_goes_on_as_long_as_every_budget_allows(spec: RecoverySpec, failures: list[Failure]) -> None:
    count = survived(spec, failures)
    if count == len(failures):
        return
    seen = failures[: count + 1]
    last = seen[-1]
    alike = [failure for failure in seen if (failure.what == "node") == (last.what == "node")]
    allowed = spec.node_failures if last.what == "node" else spec.actor_failures
    same = [failure for failure in seen if failure.minibatch == last.minibatch]
    assert len(alike) > allowed or len(same) >= spec.same_minibatch


@given(SPECS, FAILURES)
def test_a_larger_budget_never_ends_a_run_earlier(spec: RecoverySpec, failures: list[Failure]) -> None:
    for budget in ("actor_failures", "node_failures", "same_minibatch"):
        larger = spec.model_copy(update={budget: getattr(spec, budget) + 1})
        assert survived(larger, failures) >= survived(spec, failures)


@given(SPECS, FAILURES, st.integers(0, 40))
def test_who_takes_over_decides_the_same(spec: RecoverySpec, failures: list[Failure], cut: int) -> None:
    before, after = failures[:cut], failures[cut:]
    one, other = Recovery(spec), Recovery(spec, [Failure.from_plain(failure.plain()) for failure in before])
    for failure in before:
        one.refuse(failure)
    assert [one.refuse(failure) for failure in after] == [other.refuse(failure) for failure in after]
    assert one.incarnation == other.incarnation == len(failures)


def test_what_ends_a_run_is_named_with_what_allows_more() -> None:
    died = Failure("actor", ("h1",), "actor h1 died", 7)
    spec = RecoverySpec(actor_failures=1, node_failures=0)
    recovery = Recovery(spec)
    assert recovery.refuse(died) is None
    assert recovery.refuse(died) == "actor h1 died; failure number 2, 1 are survived (recovery.actor_failures)"
    assert Recovery(spec).refuse(Failure("node", ("h1",), "its machine died", 1)) == "its machine died"


def test_a_minibatch_that_kills_its_actors_is_named() -> None:
    recovery = Recovery(RecoverySpec())
    for minibatch in (7, 3, 7):
        assert recovery.refuse(Failure("actor", ("h1",), "actor h1 died", minibatch)) is None
    told = recovery.refuse(Failure("link", ("h2", "out"), "letters from h2 to out were lost", 7))
    assert told is not None
    assert "letters from h2 to out were lost; failure number 3 at minibatch 7, which is not tried again" in told
