"""Times one training step of the tutorial network in graven and in PyTorch, in turn, and prints the ratio.

    python tests/peers/compare.py [--rounds 5] [--batch-size 100] [--threads 1]

Run it with the Python of an environment that holds PyTorch (`pip install torch`). Each round runs `cargo run --release
--example step` and `tests/peers/step.py` (PyTorch at its best: fused Adam, channels_last; and the plain tutorial loop) one
after the other, so that both see the same machine; medians over rounds are compared.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(command: list[str]) -> dict:
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return json.loads(output.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", default="100")
    parser.add_argument("--threads", default="1")
    arguments = parser.parse_args()
    work = ["--batch-size", arguments.batch_size, "--threads", arguments.threads]
    step = [sys.executable, "tests/peers/step.py", *work]
    commands = {
        "graven": ["cargo", "run", "--quiet", "--release", "--example", "step", "--", *work],
        "PyTorch eager, fused Adam, channels_last": step,
        "PyTorch eager, plain": [*step, "--adam", "single", "--memory-format", "contiguous"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(arguments.rounds):
        for name, command in commands.items():
            times[name].append(run(command)["median_ms"])
    ours = statistics.median(times["graven"])
    print(f"training step, batch {arguments.batch_size}, {arguments.threads} thread(s), median of {arguments.rounds} rounds")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"  {name:44} {median:7.3f} ms  ({min(values):.3f} to {max(values):.3f})  {median / ours:5.2f}x")


if __name__ == "__main__":
    main()
