"""Runs the work items of the benchmark in graven and in the peers that are installed, in turn, and prints a table.

    python tests/peers/bench.py [--rounds 3] [--only step-100,infer-1] [--threads 1,2] [--compile] [--json FILE]

Run it with the Python of an environment that holds the peers: `pip install torch` for PyTorch, `pip install onnx onnxruntime`
for inference beside it. Each round times every work item in every peer once, one after the other in processes that stay
alive, so that all see the same machine; medians over rounds are compared. FLOPs are dense, two per multiply-add; the peak is
the better of an FMA loop (graven) and a product of 1024 x 1024 matrices (PyTorch).
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Work item: (repeats a round, million multiply-adds of a run: forward, and three times that less the first layer's input
# gradient for a step).
TUTORIAL = (6 * 24 * 24 * 25 + 12 * 8 * 8 * 150 + 192 * 120 + 120 * 60 + 60 * 10) / 1e6
TUTORIAL_STEP = 3 * TUTORIAL - 6 * 24 * 24 * 25 / 1e6
MLP_STEP = (3 * (784 * 512 + 512 * 512 + 5120) - 784 * 512) / 1e6
RESIDUAL_STEM = 16 * 27 * 1024 / 1e6
RESIDUAL = RESIDUAL_STEM + (2 * 16 * 144 * 1024 + 32 * 144 * 256 + 2 * 32 * 288 * 256 + 64 * 288 * 64 + 2 * 64 * 576 * 64 + 640) / 1e6
ODD = (7 * 9 * 81 + 13 * 63 * 81 + 13 * 81 * 10) / 1e6
WORKS = {
    "step-100": (200, 100 * TUTORIAL_STEP),
    "step-1000": (30, 1000 * TUTORIAL_STEP),
    "epoch-60000": (1, 60000 * TUTORIAL_STEP),
    "infer-1": (2000, TUTORIAL),
    "infer-1000": (50, 1000 * TUTORIAL),
    "mlp-128": (50, 128 * MLP_STEP),
    "residual-64": (10, 64 * (3 * RESIDUAL - RESIDUAL_STEM)),
    "odd-37": (300, 37 * (3 * ODD - 7 * 9 * 81 / 1e6)),
}


class Peer:
    """A process that reads `WORK THREADS REPEATS` and answers lines of JSON, the last of which is empty."""

    def __init__(self, name: str, command: list[str]):
        self.name = name
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def measure(self, work: str, threads: int, repeats: int) -> dict | None:
        self.process.stdin.write(f"{work} {threads} {repeats}\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return None if "error" in answer else answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(WORKS))
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--compile", action="store_true", help="also torch.compile, which needs a C++ compiler")
    parser.add_argument("--json", type=pathlib.Path, help="write every measurement to this file, a line each")
    arguments = parser.parse_args()

    subprocess.run(["cargo", "build", "--quiet", "--release", "--example", "bench"], cwd=ROOT, check=True)
    variants = ["eager", "best"] + (["compile"] if arguments.compile else [])
    peers = [Peer("graven", ["cargo", "run", "--quiet", "--release", "--example", "bench"])]
    peers += [Peer(f"PyTorch {variant}", [sys.executable, "tests/peers/torch_bench.py", variant]) for variant in variants]
    peers += [Peer("onnxruntime", [sys.executable, "tests/peers/torch_bench.py", "onnx"])]

    measured: dict[tuple, list[dict]] = {}
    works = [("peak", 1, 100)]
    for work in arguments.only.split(","):
        works += [(work, int(threads), WORKS[work][0]) for threads in arguments.threads.split(",")]
    for _ in range(arguments.rounds):
        for work, threads, repeats in works:
            for peer in peers:
                answer = peer.measure(work, threads, repeats)
                if answer is not None:
                    measured.setdefault((work, threads, peer.name), []).append(answer)
    if arguments.json:
        lines = [json.dumps(answer | {"peer": key[2]}) for key, answers in measured.items() for answer in answers]
        arguments.json.write_text("\n".join(lines) + "\n")

    def median(key: tuple, field: str) -> float:
        return statistics.median(answer[field] for answer in measured[key])

    rates = {"graven": 7.68e-3, "PyTorch eager": 2 * 1024**3 / 1e9}  # GFLOP of one run of `peak`
    peak = max(rate / (median(("peak", 1, name), "median_ms") / 1e3) for name, rate in rates.items() if ("peak", 1, name) in measured)
    print(f"peak of one core: {peak:.0f} GFLOP/s")
    print(f"{'work':12} {'threads':>7} {'peer':18} {'median ms':>10} {'min to max':>19} {'p99 ms':>9} {'ratio':>7} {'of peak':>8}")
    for work, threads, _ in works[1:]:
        ours = median((work, threads, "graven"), "median_ms")
        for peer in peers:
            key = (work, threads, peer.name)
            if key not in measured:
                continue
            values = [answer["median_ms"] for answer in measured[key]]
            value = statistics.median(values)
            share = 2 * WORKS[work][1] / 1e3 / (value / 1e3) / (peak * threads)
            spread = f"{min(values):.3f} to {max(values):.3f}"
            print(f"{work:12} {threads:>7} {peer.name:18} {value:>10.4f} {spread:>19} {median(key, 'p99_ms'):>9.4f} {value / ours:>6.2f}x {share:>7.0%}")


if __name__ == "__main__":
    main()
