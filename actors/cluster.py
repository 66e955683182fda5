"""Connecting to a Ray cluster, or starting one on this machine, and leaving nothing behind."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import actors
import dyadnet
from dyadnet.config import ClusterSpec
from dyadnet.errors import ConfigError, UsageError

NAMESPACE = "dyadnet"
PROBE = 5.0
"""Seconds within which something must listen at a cluster's address."""
THREADS = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
"""One thread a library: cores are shared out to actors, and OpenBLAS takes memory for every thread."""


@contextlib.contextmanager
def connected(spec: ClusterSpec) -> Iterator[None]:
    """Ray, connected as the settings say; whatever was started here ends on the way out.

    A connection that is there already is used and left as it is.

    Raises
    ------
    ConfigError
        If there is no cluster at the address, or it does not let us in.
    """
    authenticate(spec.address)
    import ray

    if ray.is_initialized():
        yield
        return
    options: dict[str, Any] = {"namespace": NAMESPACE, "log_to_driver": False, "logging_level": "ERROR"}
    environment: dict[str, Any] = {"env_vars": THREADS}
    if spec.ship_code:
        environment["py_modules"] = [str(Path(module.__file__).parent) for module in (dyadnet, actors) if module.__file__]
    if spec.address is None:
        if spec.ship_code:
            options["runtime_env"] = environment
        os.environ.update(THREADS)
        options |= {"address": "local", "include_dashboard": False}
    else:
        _knock(spec.address)
        options |= {"address": spec.address, "runtime_env": environment}
    try:
        with _quiet():
            ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError, OSError) as problem:
        raise _refused(spec.address, problem) from None
    try:
        yield
    finally:
        ray.shutdown()


def authenticate(address: str | None) -> None:
    """Set Ray's authentication explicitly, before Ray is loaded.

    Ray may turn tokens on by itself and leave one in the home folder, which later clusters would pick up. A cluster of
    our own gets a token that only its processes know. To join one, a token is used if the user has one.
    """
    os.environ.setdefault("RAY_worker_niceness", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if "RAY_AUTH_MODE" in os.environ:
        return
    if address is None:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        return
    own = (Path.home() / ".ray" / "auth_token").exists()
    given = own or any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    os.environ["RAY_AUTH_MODE"] = "token" if given else "disabled"


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does: by `KeyboardInterrupt` in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _knock(address: str) -> None:
    """Whether anything listens at HOST:PORT; Ray itself would try for a minute."""
    if address == "auto":
        return
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        raise ConfigError("cluster.address", address, "write HOST:PORT, or auto for a cluster on this machine")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE).close()
    except OSError as problem:
        legal = f"no cluster answers there ({problem.strerror or problem}); start one with: ray start --head"
        raise ConfigError("cluster.address", address, legal) from None


def _refused(address: str | None, problem: Exception) -> UsageError:
    text = " ".join(str(problem).split())
    lower = text.lower()
    if "version" in lower and "mismatch" in lower:
        legal = f"the cluster runs other versions than this machine: {text[:300]}; install the same Ray and Python"
    elif any(word in lower for word in ("auth", "token", "unauthenticated")):
        legal = f"the cluster does not accept our token ({text[:200]}); set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN to its own"
    elif address == "auto":
        legal = "no cluster runs on this machine; start one with ray start --head, or leave --address out"
    else:
        legal = f"Ray could not connect: {text[:300]}"
    return ConfigError("cluster.address", address, legal)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Ray prints where it connects to; our own lines say what a user needs."""
    yield
