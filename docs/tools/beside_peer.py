"""Sample-iterations a second of a convolutional Hopfield network: dyadnet beside energy-based-learning (PyTorch).

Both settle the peer's `ConvHopfieldEnergy28` (1x28x28, 32 channels of 12x12, 64 of 4x4, 10 outputs; 5x5 kernels, each
pooled by 2x2), red-black, in float32, on one thread, for a fixed number of iterations, by turns. Times are CPU time of
a process. The peer runs in one of its own, from its own checkout.

    git clone https://github.com/rain-neuromorphics/energy-based-learning PEER
    python3 -m venv TORCH && TORCH/bin/pip install numpy torch --index-url https://download.pytorch.org/whl/cpu
    python docs/tools/beside_peer.py PEER TORCH/bin/python --repetitions 7
"""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from contextlib import closing
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from dyadnet.bench.kernel import PATH
from dyadnet.bench.networks import images
from dyadnet.config import RunConfig
from dyadnet.dynamics.request import Phase, Relaxation
from dyadnet.engines.local import LocalEngine

POOLS = {"average": "pool 2", "max": "pool 2 max"}
WORKER = """
import sys, time
checkout, pool, minibatch, iterations = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
sys.path.insert(0, checkout)
import torch
from model.function.network import Network
from model.hopfield.minimizer import FixedPointMinimizer
from model.hopfield.network import ConvHopfieldEnergy28
torch.manual_seed(0)
torch.set_num_threads(1)
energy = ConvHopfieldEnergy28(pool_type={"average": "conv_avg_pool", "max": "conv_max_pool"}[pool])
energy.set_device("cpu")
network = Network(energy)
minimizer = FixedPointMinimizer(energy, network.free_layers(), num_iterations=iterations, mode="asynchronous")
images = torch.rand(minibatch, 1, 28, 28)
print(torch.__version__, flush=True)
with torch.no_grad():
    for _ in sys.stdin:
        network.set_input(images, reset=True)
        started = time.process_time()
        minimizer.compute_equilibrium()
        print((time.process_time() - started) / iterations, flush=True)
"""


class Peer:
    """The peer, in a process of its own."""

    def __init__(self, python: str, checkout: Path, pool: str, minibatch: int, iterations: int) -> None:
        arguments = [python, "-W", "ignore", "-c", WORKER, str(checkout), pool, str(minibatch), str(iterations)]
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._process = subprocess.Popen(arguments, env=os.environ | threads, **pipes)  # type: ignore[call-overload]
        self.version = self._process.stdout.readline().strip()
        if not self.version:
            raise SystemExit("the peer did not start")

    def seconds(self) -> float:
        """Of one iteration."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        self._process.stdin.close()
        self._process.wait()


class Own:
    """The same network here: a symmetric Hopfield network in its free phase."""

    def __init__(self, pool: str, minibatch: int, iterations: int) -> None:
        layers = ["conv 32 5x5", POOLS[pool], "conv 64 5x5", POOLS[pool], "dense 10"]
        chain = {"layers": layers, "inputs": [1, 28, 28], "lam": 1.0, "activation": "hard-sigmoid"}
        # Small steps, so that no neuron stands still, and costs nothing, before the end.
        dynamics = {"fixed": True, "lanes": 1, "initial": "zero", "step": PATH / iterations}
        values = {"network": chain | {"output_activation": "linear"}, "dynamics": dynamics}
        config = RunConfig.read(values | {"learning": {"minibatch": minibatch}})
        self._engine = LocalEngine(config, images(28 * 28, minibatch), threads=1)
        self._rows, self._iterations, self._number = np.arange(minibatch), iterations, 0
        self._step, self._couplings = PATH / iterations, tuple(p.coupling for p in config.network.recurrent)

    def _relax(self, sweeps: int) -> float:
        self._number += 1
        phases = (Phase("free", 0.0, sweeps, fixed=True),)
        started = time.process_time()
        outcome = self._engine.relax(Relaxation(self._number, "train", self._rows, phases, self._couplings, self._step))
        spent = time.process_time() - started
        assert outcome.sweeps == sweeps, outcome.sweeps
        return spent

    def seconds(self) -> float:
        """Of one iteration, start and end of the relaxation included, as the peer's are."""
        return self._relax(self._iterations) / self._iterations

    def close(self) -> None:
        """End its threads."""
        self._engine.close()


def main() -> None:
    """Measure by turns, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="of energy-based-learning")
    parser.add_argument("python", help="one that has PyTorch")
    parser.add_argument("--minibatch", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--repetitions", type=int, default=7)
    given = parser.parse_args()
    size = given.minibatch, given.iterations
    print("| pooling | dyadnet, sample-iterations/s | peer | ratio | least, most of the pairs |\n|---|---|---|---|---|")
    for pool in POOLS:
        with (
            threadpool_limits(1),
            closing(Own(pool, *size)) as own,
            closing(Peer(given.python, given.checkout, pool, *size)) as peer,
        ):
            pairs = [(own.seconds(), peer.seconds()) for _ in range(given.repetitions + 1)][1:]
        rates = [given.minibatch / min(times) for times in zip(*pairs, strict=True)]
        ratios = sorted(theirs / ours for ours, theirs in pairs)
        told = f"{ratios[0]:.2f}, {ratios[-1]:.2f}"
        print(f"| {pool} | {rates[0]:,.0f} | {rates[1]:,.0f} | {rates[0] / rates[1]:.2f} | {told} |", flush=True)
    print(f"\nPyTorch {peer.version}, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
