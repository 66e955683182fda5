"""Connecting to a Ray cluster, or starting one on this machine, and leaving nothing behind."""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import actors
import dyadnet
from dyadnet.config import ClusterSpec
from dyadnet.errors import ConfigError, DyadnetError, UsageError

NAMESPACE = "dyadnet"
PROBE = 5.0
"""Seconds within which something must listen at a cluster's address."""
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""One thread a library: cores are shared out to actors, and OpenBLAS takes memory for every thread."""
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""What Ray does on a desktop, where no other machine is to join: it listens on the loopback interface only."""
DEFAULTS = {
    "RAY_worker_niceness": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_NUM_REDIS_GET_RETRIES": "5",
}
"""Ray runs workers at nice 15 unless told otherwise, warns of a change to come, reports its use, and knocks at a closed
door for 20 seconds."""


@contextlib.contextmanager
def connected(spec: ClusterSpec) -> Iterator[None]:
    """Ray, connected as the settings say; whatever was started or set here ends on the way out.

    A connection that is there already is used and left as it is.

    Raises
    ------
    ConfigError
        If there is no cluster at the address, or it does not let us in.
    """
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        yield
        return
    own = spec.address is None
    options: dict[str, Any] = {"namespace": NAMESPACE, "log_to_driver": False, "logging_level": "ERROR"}
    runtime: dict[str, Any] = {} if own else {"env_vars": THREADS}
    if spec.ship_code:
        runtime["py_modules"] = [str(Path(str(module.__file__)).parent) for module in (dyadnet, actors)]
    if runtime:
        options["runtime_env"] = runtime
    options |= {"address": "local", "include_dashboard": False} if own else {"address": spec.address}
    if spec.address is not None:
        _knock(spec.address)
    defaults = {name: value for name, value in DEFAULTS.items() if name not in os.environ}
    alone = LOOPBACK if own and LOOPBACK.keys().isdisjoint(os.environ) else {}
    with _environment(defaults | authentication(spec.address) | (THREADS | alone if own else {})):
        import ray

        _forget_authentication()
        _look_again()
        with _captured() as noise:
            try:
                ray.init(**options)
            except (ConnectionError, RuntimeError, ValueError, OSError, ray.exceptions.RayError) as problem:
                raise _refused(spec.address, str(problem), noise()) from None
            except Exception as problem:
                if type(problem) is not Exception:
                    raise
                # So Ray says that a node of its own did not come up in time.
                raise DyadnetError(f"Ray did not start here: {' '.join(str(problem).split())[:300]}") from None
        try:
            yield
        finally:
            ray.shutdown()


def authentication(address: str | None) -> dict[str, str]:
    """Environment that sets Ray's authentication explicitly, unless the user has set it.

    Ray may turn tokens on by itself and leave one in the home folder, which later clusters would pick up. A cluster of
    our own gets a token that only its processes know. To join one, a token is used if the user has one.
    """
    if "RAY_AUTH_MODE" in os.environ:
        return {}
    if address is None:
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    saved = (Path.home() / ".ray" / "auth_token").exists()
    given = saved or any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    return {"RAY_AUTH_MODE": "token" if given else "disabled"}


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Environment variables for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _captured() -> Iterator[Callable[[], str]]:
    """What libraries below Python write to standard error meanwhile; shown to nobody unless asked for."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)

        def text() -> str:
            file.seek(0)
            return file.read().decode(errors="replace")

        try:
            yield text
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _forget_authentication() -> None:
    """Make Ray read mode and token again: it keeps what it found when it was loaded."""
    with contextlib.suppress(ImportError, AttributeError):
        raylet = importlib.import_module("ray._raylet")
        raylet.Config.initialize("")
        raylet.AuthenticationTokenLoader.instance().reset_cache()


def _look_again() -> None:
    """Make Ray read again whether to listen on the loopback interface only (`LOOPBACK`)."""
    with contextlib.suppress(ImportError, AttributeError):
        constants = importlib.import_module("ray._private.ray_constants")
        variable, elsewhere = constants.ENABLE_RAY_CLUSTERS_ENV_VAR, not constants.IS_WINDOWS_OR_OSX
        vars(constants)["ENABLE_RAY_CLUSTER"] = constants.env_bool(variable, elsewhere)


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


def _refused(address: str | None, problem: str, noise: str) -> UsageError:
    text = " ".join(problem.split())
    lower = f"{text} {noise}".lower()
    if "version" in lower and "mismatch" in lower:
        legal = f"the cluster runs other versions than this machine: {text[:300]}; install the same Ray and Python"
    elif any(word in lower for word in ("unauthenticated", "invalidauthtoken", "token")):
        mode = os.environ.get("RAY_AUTH_MODE")
        ours = "our token is not the cluster's" if mode == "token" else "the cluster asks for a token, and we have none"
        legal = f"{ours}; set RAY_AUTH_TOKEN to the cluster's token, or RAY_AUTH_TOKEN_PATH to a file that holds it"
    elif address == "auto":
        legal = "no cluster here to join (a run without --address has one of its own); start one with: ray start --head"
    else:
        legal = f"Ray could not connect: {text[:300]}"
    return ConfigError("cluster.address", address, legal)
