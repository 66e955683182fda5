"""Connects to a Ray cluster, or starts one on this machine, and cleans up afterwards.

A process that was submitted to a cluster as a job joins that cluster, unless told otherwise.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import secrets
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import dyadnet
import dyadnet_actors
from dyadnet.config import ClusterSpec
from dyadnet.config.recovery import RecoverySpec
from dyadnet.errors import ConfigError, DyadnetError
from dyadnet.process.console import for_people, standing
from dyadnet.process.guest import as_it_was
from dyadnet.process.signals import is_command
from dyadnet_actors.cluster import processes
from dyadnet_actors.cluster.starting import folder, knock, latest_kept, refused
from dyadnet_actors.cluster.travelling import check_travels, send_modules
from dyadnet_actors.cluster.watchdog import Watchdog
from dyadnet_actors.protocol.failures import RayLostError, cause_of

NAMESPACE = "dyadnet"
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""One thread per library: the cores are divided among actors, and OpenBLAS takes memory for every thread."""
OWN = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_task_events_report_interval_ms": "0"}
"""Settings for a cluster of our own. It listens only on the loopback interface, as Ray does on Windows and macOS, since
no other machine is to join. Its control store keeps no list of all calls, which would grow with a run and which nobody
reads."""
DEFAULTS = {
    "RAY_worker_niceness": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_NUM_REDIS_GET_RETRIES": "5",
}
"""Settings for every cluster. Without them, Ray runs workers at nice 15, warns of a future change, reports its usage,
and retries a closed port for 20 seconds."""
PATIENCE = RecoverySpec().heartbeat
MODE = "RAY_AUTH_MODE"
"""Variable that sets whether Ray's processes ask each other for a token."""


JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Variable in which Ray gives a job (``ray job submit``) its own runtime environment."""
UNPACKED = "runtime_resources/working_dir_files"
"""Part of the path where a node keeps a job's working directory (``--working-dir``) until the job is over."""


class _Held:
    """The connection that the runs of this process share.

    Parameters
    ----------
    spec
        Settings of the first run, which made the connection.
    ended
        What to undo once the last run has ended.
    watchdog
        Watchdog of the cluster.
    """

    def __init__(self, spec: ClusterSpec, ended: contextlib.ExitStack, watchdog: Watchdog) -> None:
        self.spec = spec
        self.ended = ended
        self.watchdog = watchdog
        self.runs = 0


_HOLDING = threading.Lock()
_held: list[_Held] = []
"""At most one element: Ray has one connection per process."""


@contextlib.contextmanager
def connected(
    spec: ClusterSpec, patience: float = PATIENCE, advice: Callable[[], str] = lambda: ""
) -> Iterator[Watchdog]:
    """Connect to Ray as the settings say; when the last user leaves, undo what was started and set here.

    If the program itself has made a connection, it is used and left as it is.

    Parameters
    ----------
    patience
        Seconds without a sign of life after which Ray counts as lost; see `dyadnet_actors.cluster.processes.parts`.
    advice
        Returns what to do if Ray is lost.

    Yields
    ------
    Watchdog
        Knows whether Ray is lost; ask it during every wait.

    Raises
    ------
    UsageError
        If something that this process has registered cannot be sent to actors.
    ConfigError
        If there is no cluster at the address, if it refuses the connection, or if another run of this process uses
        another cluster.
    RayLostError
        If Ray dies or hangs meanwhile.
    DyadnetError
        If Ray does not start here, or raises an error of its own meanwhile; the message is its cause.
    """
    if spec.ship_code:
        send_modules()
    check_travels()
    with _HOLDING:
        held = _joined(_placed(spec), patience, advice)
    try:
        there = _watched(patience, advice) if held is None else contextlib.nullcontext(held.watchdog)
        with there as watchdog, _in_one_line(watchdog, advice):
            yield watchdog
    finally:
        if held is not None:
            with _HOLDING:
                held.runs -= 1
                if not held.runs:
                    _held.clear()
                    held.ended.close()


def lost_with_the_job(folder: Path) -> bool:
    """Return whether a folder lies in a job's copy of its working directory, which Ray removes after the job."""
    return JOB in os.environ and UNPACKED in folder.absolute().as_posix()


def _placed(spec: ClusterSpec) -> ClusterSpec:
    """Return the settings; a job that names no cluster gets the one to which it was submitted."""
    return spec.model_copy(update={"address": "auto"}) if spec.address is None and JOB in os.environ else spec


def _runtime(spec: ClusterSpec) -> dict[str, Any]:
    """Return the runtime environment that our actors need; the job's own entries take precedence."""
    job: dict[str, Any] = {}
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
        job = dict(json.loads(os.environ.get(JOB, "{}"))["runtime_env"] or {})
    found: dict[str, Any] = {} if spec.address is None else {"env_vars": THREADS | job.get("env_vars", {})}
    if spec.ship_code:
        ours = [str(Path(str(module.__file__)).parent) for module in (dyadnet, dyadnet_actors)]
        found["py_modules"] = [*job.get("py_modules", []), *ours]
    return found


@contextlib.contextmanager
def _in_one_line(watchdog: Watchdog, advice: Callable[[], str]) -> Iterator[None]:
    """Turn errors of Ray into one line: that Ray is lost and what to do, or else the cause of the error."""
    try:
        try:
            yield
        except DyadnetError:
            raise
        except Exception as problem:
            if not isinstance(problem, sys.modules["ray"].exceptions.RayError):
                raise
            watchdog.confirm()
            cause = getattr(problem, "cause", None)
            if isinstance(cause, DyadnetError):
                raise cause from None
            raise DyadnetError(f"Ray failed: {cause_of(problem)}") from problem
    except RayLostError as problem:
        raise RayLostError("; ".join(filter(None, (str(problem), advice())))) from None


@contextlib.contextmanager
def _watched(patience: float, advice: Callable[[], str]) -> Iterator[Watchdog]:
    """Yield a watchdog of the cluster to which this process is connected."""

    def stuck(why: str) -> None:
        for_people().print(f"dyadnet: {'; '.join(filter(None, (why, advice())))}", markup=False, soft_wrap=True)
        if is_command():
            processes.kill()
            os._exit(DyadnetError.exit_code)

    watchdog = Watchdog(processes.parts(patience), stuck)
    try:
        yield watchdog
    finally:
        # If Ray hangs and this was not noticed yet, a shutdown would never end.
        watchdog.well()
        watchdog.close()


def _joined(spec: ClusterSpec, patience: float, advice: Callable[[], str]) -> _Held | None:
    """Return the existing connection or a new one; None if the connection is the program's own."""
    if not _held and "ray" in sys.modules and sys.modules["ray"].is_initialized():
        return None
    if not _held:
        with contextlib.ExitStack() as stack:
            here = threading.current_thread() is threading.main_thread()
            watchdog = stack.enter_context((_begun if here else _in_a_thread)(spec, patience, advice))
            _held.append(_Held(spec, stack.pop_all(), watchdog))
    (held,) = _held
    # ``auto`` means any cluster that runs here, including this process's own.
    same = spec.address in ("auto", held.spec.address) and spec.ship_code == held.spec.ship_code
    if not same:
        there = "a cluster of its own" if held.spec.address is None else held.spec.address
        legal = f"another run of this process is on {there}, and Ray has one connection a process; use two processes"
        raise ConfigError("cluster.address", spec.address, legal)
    held.runs += 1
    return held


@contextlib.contextmanager
def _in_a_thread(spec: ClusterSpec, patience: float, advice: Callable[[], str]) -> Iterator[Watchdog]:
    """Run `_begun` in a thread that lives as long, because Ray's processes end with the thread that started them."""
    up: Future[Watchdog] = Future()
    over = threading.Event()

    def live() -> None:
        try:
            with _begun(spec, patience, advice) as watchdog:
                up.set_result(watchdog)
                over.wait()
        except BaseException as problem:
            if up.done():
                raise
            up.set_exception(problem)

    thread = threading.Thread(target=live, name="dyadnet-ray", daemon=True)
    thread.start()
    try:
        yield up.result()
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def _begun(spec: ClusterSpec, patience: float, advice: Callable[[], str]) -> Iterator[Watchdog]:
    own = spec.address is None
    options: dict[str, Any] = {"namespace": NAMESPACE, "log_to_driver": False, "logging_level": "ERROR"}
    if runtime := _runtime(spec):
        options["runtime_env"] = runtime
    options |= {"address": "local", "include_dashboard": False} if own else {"address": spec.address}
    if spec.address is not None:
        knock(spec.address)
    defaults = DEFAULTS | (OWN | folder() if own else {})
    values = {name: value for name, value in defaults.items() if name not in os.environ or name == "RAY_TMPDIR"}
    values |= own_authentication() if spec.address is None else _authentication(spec.address, values)
    # Ray refuses variables that both a job's environment and ours set, although they are merged here.
    values |= THREADS if own else {"RAY_OVERRIDE_JOB_RUNTIME_ENV": "1"}
    with _environment(values), latest_kept() if own else contextlib.nullcontext():
        with as_it_was(), _captured() as noise:
            import ray

            _forget_authentication()
            _look_again()
            try:
                ray.init(**options)
            except SystemExit:
                # Ray turns SIGTERM into SystemExit, from its start on.
                raise KeyboardInterrupt from None
            except (ConnectionError, RuntimeError, ValueError, OSError, ray.exceptions.RayError) as problem:
                raise refused(spec.address, str(problem), noise()) from None
            except Exception as problem:
                if type(problem) is not Exception:
                    raise
                # Ray raises a plain Exception if its own node did not come up in time.
                raise refused(None, str(problem), noise()) from None
        watchdog: Watchdog | None = None
        with _quiet():
            try:
                with _watched(patience, advice) as watchdog:
                    yield watchdog
            finally:
                with as_it_was():
                    _leave(lost=watchdog is not None and watchdog.lost, own=own)


def _leave(*, lost: bool, own: bool) -> None:
    """Disconnect from Ray, and end what was started here."""
    ray = importlib.import_module("ray")
    if lost and not own:
        # A shutdown would wait for the cluster until Ray ends this process, with its own message.
        atexit.unregister(importlib.import_module("ray._private.worker").shutdown)
        if is_command():
            atexit.register(_go)
        return
    if lost:
        # Kill the processes first: a shutdown would wait for them.
        processes.kill()
    ray.shutdown()


def _go() -> None:
    """End this process at once: libraries that still wait for a cluster would block a normal exit."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(RayLostError.exit_code)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Ray from printing its messages about deaths on standard output; dyadnet reports a death in one line."""
    names = vars(importlib.import_module("ray._private.worker"))
    printed = names.get("print_to_stdstream")
    names["print_to_stdstream"] = lambda *arguments, **named: None
    try:
        yield
    finally:
        names["print_to_stdstream"] = printed


def own_authentication(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return environment variables that give a cluster of our own a token that only its processes know.

    Ray may turn tokens on by itself and leave a token in the home folder, which later clusters would pick up.

    Parameters
    ----------
    environment
        Environment of the cluster's processes; if it sets ``RAY_AUTH_MODE``, nothing is added.
    """
    return {} if MODE in environment else {MODE: "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


def _authentication(address: str, values: Mapping[str, str]) -> dict[str, str]:
    """Return environment variables by which we join a cluster: with the user's token if the cluster asks for one.

    A driver with a token refuses the calls of a cluster without tokens, and Ray then ends the driver's actors one after
    the other. A token in the home folder, which Ray may have left there, is therefore used only where it is asked for.

    Parameters
    ----------
    values
        Variables that Ray must find when it is imported.

    Raises
    ------
    ConfigError
        If the user demands a token, but the cluster takes none.
    """
    demanded = os.environ.get(MODE, "").lower()
    if demanded == "disabled" or not (demanded or _token_exists()):
        return {MODE: "disabled"}
    if _asks_for_token(address, values):
        return {MODE: "token"}
    if demanded:
        legal = f"the cluster there takes no token, but {MODE} demands one; to join it, set {MODE}=disabled"
        raise ConfigError("cluster.address", address, legal)
    return {MODE: "disabled"}


def _token_exists() -> bool:
    if any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")):
        return True
    # A user whom the system does not know has no home.
    with contextlib.suppress(RuntimeError, OSError):
        return (Path.home() / ".ray" / "auth_token").exists()
    return False


def _asks_for_token(address: str, values: Mapping[str, str]) -> bool:
    """Return whether a cluster refuses a client without a token."""
    try:
        with _environment({**values, MODE: "disabled"}), as_it_was(), _captured():
            services = importlib.import_module("ray._private.services")
            raylet = importlib.import_module("ray._raylet")
            _forget_authentication()
            if address == "auto":
                address = services.get_ray_address_from_environment(address, None)
            raylet.GcsClient(address=address).internal_kv_exists(b"session_name", b"session", timeout=PATIENCE)
    except Exception:
        # Whatever else it is that fails, connecting fails as well, and that error is reported.
        return True
    finally:
        _forget_authentication()
    return False


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables for a while."""
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
    """Capture what libraries below Python write to standard error meanwhile; yield a function that returns it."""
    standing()
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
    kept = os.dup(2)
    # Not on a disk, which may be full.
    with os.fdopen(os.memfd_create("noise"), "w+b") if sys.platform == "linux" else tempfile.TemporaryFile() as file:
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
    """Make Ray read its authentication mode and token again: it caches what it found when it was loaded."""
    with contextlib.suppress(ImportError, AttributeError):
        raylet = importlib.import_module("ray._raylet")
        raylet.Config.initialize("")
        raylet.AuthenticationTokenLoader.instance().reset_cache()


def _look_again() -> None:
    """Make Ray read again whether to listen only on the loopback interface (`OWN`)."""
    with contextlib.suppress(ImportError, AttributeError):
        constants = importlib.import_module("ray._private.ray_constants")
        variable, elsewhere = constants.ENABLE_RAY_CLUSTERS_ENV_VAR, not constants.IS_WINDOWS_OR_OSX
        vars(constants)["ENABLE_RAY_CLUSTER"] = constants.env_bool(variable, elsewhere)
