#!/usr/bin/env python3
"""Runs the work items of the benchmark in graven and in the peers that are installed, in turn; prints a table and JSON lines.

    python3 tests/peers/bench.py --venv target/peers       # makes the environment if it is not there
    python3 tests/peers/bench.py [--rounds 9] [--only step-100,infer-1] [--threads 1,2] [--patience 20] [--no-compile] [--json FILE]

Without `--venv` it looks for peers in the Python that runs it: `torch` for PyTorch, `onnx` and `onnxruntime` for inference
beside it; torch.compile needs a C++ compiler as well. A peer that is missing, or cannot do a work item, is left out.

Each round times every work item in every peer once (epochs in every third round), one after the other in processes that stay
alive, so that all see the same machine. Rounds are short and many, since a shared machine changes its speed from minute to minute:
a ratio is the median over rounds of what a peer takes for graven's time a moment before; times are medians over rounds, too. p99 is
the median over rounds as well, and its quotient is the one by the median of the same peer.

Where the processor has AVX-512, a short loop before and behind each measurement says whether a stranger shares the core: then a register
tile takes longer than multiply-adds alone (`examples/pipeline.rs`). A second table is of the measurements with quiet cores on both
sides, and its ratios of the rounds in which they were quiet for both peers. What runs on one thread runs on the same core in all peers
of a round, the one of which most was left before (on Linux). `--patience` waits for quiet cores.

FLOPs are dense, two per multiply-add. Bytes are those that must move at least: the arguments once, and each parameter as often
as the work reads or writes it with its gradient and Adam's two moments (once in inference, eight times in a step). The peak is
the better of an FMA loop (graven) and a product of 2048 x 2048 matrices (PyTorch), both in every round. The memory of an epoch
is the peak resident memory of a process that does nothing else.
"""

import argparse
import contextlib
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time
import venv
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Network(NamedTuple):
    """What one sample costs."""

    multiply_adds: int
    # Those of the first layer, whose input needs no gradient.
    first: int
    parameters: int
    inputs: int


TUTORIAL = Network(6 * 576 * 25 + 12 * 64 * 150 + 192 * 120 + 120 * 60 + 60 * 10, 6 * 576 * 25, 32998, 784)
MLP = Network(784 * 512 + 512 * 512 + 512 * 10, 784 * 512, 669706, 784)
RESIDUAL = Network(
    16 * 27 * 1024 + 2 * 16 * 144 * 1024 + 32 * 144 * 256 + 2 * 32 * 288 * 256 + 64 * 288 * 64 + 2 * 64 * 576 * 64 + 640,
    16 * 27 * 1024,
    (16 * 27 + 16) + 2 * (16 * 144 + 16) + (32 * 144 + 32) + 2 * (32 * 288 + 32) + (64 * 288 + 64) + 2 * (64 * 576 + 64) + 650,
    3072,
)
ODD = Network(7 * 9 * 81 + 13 * 63 * 81 + 13 * 81 * 10, 7 * 9 * 81, 7 * 10 + 13 * 64 + 10540, 784)


class Work(NamedTuple):
    """A work item: how often it runs in a round, and on how much."""

    repeats: int
    network: Network
    samples: int
    # Steps of the optimizer; none is inference.
    steps: int = 1
    # It runs in one of so many rounds.
    every: int = 1

    def flops(self) -> float:
        own = self.network
        return 2 * self.samples * (3 * own.multiply_adds - own.first if self.steps else own.multiply_adds)

    def bytes(self) -> float:
        # A step reads weight, gradient and two moments, and writes them.
        passes = 8 * self.steps or 1
        return 4 * (self.samples * self.network.inputs + passes * self.network.parameters)


WORKS = {
    "step-100": Work(60, TUTORIAL, 100),
    "step-1000": Work(10, TUTORIAL, 1000),
    "epoch-100": Work(1, TUTORIAL, 60000, 600, every=3),
    "epoch-1000": Work(1, TUTORIAL, 60000, 60, every=3),
    "infer-1": Work(3000, TUTORIAL, 1, 0),
    "infer-1000": Work(16, TUTORIAL, 1000, 0),
    "mlp-128": Work(40, MLP, 128),
    "residual-64": Work(4, RESIDUAL, 64),
    "odd-37": Work(100, ODD, 37),
}

# A core is quiet if a register tile takes so many times the least time of multiply-adds alone, at most. A shared one takes 1.2 and more.
QUIET = 1.08

# FLOPs of one run of the items that measure the machine: its peak, and (beside inference at batch 1) how far a loop of 10 µs without memory
# leaves its median.
PEAK = {"peak": 7.68e6, "spin": 1.536e6, "sgemm": 2 * 2048**3}


class Peer:
    """A process that reads `WORK THREADS REPEATS` and answers lines of JSON."""

    def __init__(self, name: str, command: list[str]):
        self.name = name
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.errors: set[str] = set()

    def pin(self, cores: set[int]) -> None:
        """Lets its main thread run on these cores alone, where the system can do that."""
        if hasattr(os, "sched_setaffinity"):
            # A peer that is missing has ended.
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(self.process.pid, cores)

    def measure(self, work: str, threads: int, repeats: int) -> dict | None:
        try:
            self.process.stdin.write(f"{work} {threads} {repeats}\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            answer = {"error": "its process ended"}
        if "error" not in answer:
            return answer
        if not answer["error"].startswith(("not done", "no work")):
            self.errors.add(f"{self.name}, {work}: {answer['error'].splitlines()[0]}")
        return None


class Pipeline:
    """Says how much of the cores is left at the moment, by `pipeline` of `examples/bench.rs`."""

    def __init__(self, graven: Peer):
        self.graven = graven
        # Nanoseconds of a multiply-add alone on a quiet core, as far as one came by.
        self.least = math.inf

    def state(self, threads: int) -> dict | None:
        state = self.graven.measure("pipeline", threads, 11)
        if state is not None:
            self.least = min(self.least, state["alone_ns"])
        return state

    def is_quiet(self, state: dict | None) -> bool:
        """False if that was not measured."""
        return state is not None and state["tile_ns"] <= QUIET * self.least

    def choose_cores(self, threads: int, patience: float) -> set[int]:
        """All cores, or for one thread that of which most is left; waits so many seconds at most for quiet ones."""
        if not hasattr(os, "sched_getaffinity"):
            return set()
        cores = os.sched_getaffinity(0)
        choices = [cores] if threads > 1 else [{core} for core in sorted(cores)]
        end = time.monotonic() + patience
        while True:
            states = []
            for own in choices:
                self.graven.pin(own)
                state = self.state(threads)
                if state is None:
                    return cores
                states.append(state)
            state, best = min(zip(states, choices), key=lambda choice: choice[0]["tile_ns"])
            if self.is_quiet(state) or time.monotonic() >= end:
                return best
            time.sleep(0.1)


def environment(folder: pathlib.Path) -> str:
    """The Python of a virtual environment with the peers, made if it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        install = [python, "-m", "pip", "install", "--quiet"]
        subprocess.run([*install, "numpy", "torch", "--extra-index-url", "https://download.pytorch.org/whl/cpu"], check=True)
        # Only inference needs these.
        subprocess.run([*install, "onnx", "onnxruntime"], check=False)
    return str(python.absolute())


def resident(command: list[str], line: str = "") -> float | None:
    """Peak resident memory, in MB, of a process that reads one line; None if it fails."""
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        process.stdin.write(line)
        process.stdin.close()
        answer = process.stdout.read()
    except OSError:
        answer = "error"
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    # Kilobytes on Linux, bytes on macOS.
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return None if status != 0 or "error" in answer else usage.ru_maxrss / unit


def memory(python: str, binary: str) -> list[dict]:
    """One epoch at batch 1000 on one thread, and what there is without it."""
    torch = lambda variant: [python, "tests/peers/torch_bench.py", variant]
    cases = [
        ("graven", [binary], "epoch-1000 1 1\n"),
        ("PyTorch eager", torch("eager"), "epoch-1000 1 1\n"),
        ("PyTorch best", torch("best"), "epoch-1000 1 1\n"),
        ("Python that imports PyTorch", [python, "-c", "import torch"], ""),
    ]
    found = [(name, resident(command, line)) for name, command, line in cases]
    return [{"memory": name, "peak_resident_mb": round(size, 1)} for name, size in found if size is not None]


def works(names: str) -> list[str]:
    """Work items with commas between them."""
    unknown = [name for name in names.split(",") if name not in WORKS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no item is called {', '.join(unknown)}; there are {', '.join(WORKS)}")
    return names.split(",")


def at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} measures nothing; at least 1")
    return number


def numbers(text: str) -> list[int]:
    """Numbers with commas between them."""
    try:
        return [at_least_one(number) for number in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no list of numbers, as 1,2 would be") from None


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=at_least_one, default=9)
    parser.add_argument(
        "--only", type=works, default=list(WORKS), metavar="ITEM,..", help=f"some of: {', '.join(WORKS)}"
    )
    parser.add_argument("--threads", type=numbers, default=[1, 2], metavar="N,..", help="numbers of threads, 1,2 if not given")
    parser.add_argument("--venv", type=pathlib.Path, help="an environment for the peers, made if it is not there")
    parser.add_argument(
        "--patience", type=float, default=0, metavar="SECONDS", help="wait so long for quiet cores, before each item of each round"
    )
    parser.add_argument("--no-compile", action="store_true", help="without torch.compile, which takes minutes")
    parser.add_argument("--no-memory", action="store_true", help="without the memory of an epoch")
    parser.add_argument("--json", type=pathlib.Path, help="write the JSON lines to this file instead of behind the table")
    return parser.parse_args()


def measure_all(peers: list[Peer], arguments: argparse.Namespace) -> dict[tuple, list[dict]]:
    """For (work, threads, peer), the answers of all rounds in which it runs."""
    threads = arguments.threads
    works = [("peak", 1, 200, 1), *(("sgemm", number, 4, 1) for number in threads)]
    if "infer-1" in arguments.only:
        works.append(("spin", 1, WORKS["infer-1"].repeats, 1))
    works += [(work, number, WORKS[work].repeats, WORKS[work].every) for work in arguments.only for number in threads]
    measured: dict[tuple, list[dict]] = {}
    pipeline = Pipeline(peers[0])
    for turn in range(arguments.rounds):
        for work, number, repeats, every in works:
            if turn % every:
                continue
            cores = pipeline.choose_cores(number, arguments.patience)
            for peer in peers:
                peer.pin(cores)
            before = pipeline.state(number)
            for peer in peers:
                answer = peer.measure(work, number, repeats)
                behind = pipeline.state(number)
                if answer is not None:
                    own = {"round": turn, "states": [before, behind]}
                    measured.setdefault((work, number, peer.name), []).append(answer | own)
                before = behind
    for answer in (answer for own in measured.values() for answer in own):
        answer["quiet"] = all(map(pipeline.is_quiet, answer["states"]))
    return measured


def quotient(answers: list[dict], others: list[dict]) -> float | None:
    """The median over rounds of one time by another of the same round; None if they share none."""
    other_ms = {answer["round"]: answer["median_ms"] for answer in others}
    quotients = [answer["median_ms"] / other_ms[answer["round"]] for answer in answers if answer["round"] in other_ms]
    return statistics.median(quotients) if quotients else None


def summarise(measured: dict[tuple, list[dict]], peak: float) -> list[dict]:
    """A line for each work item, number of threads and peer."""
    lines = []
    for (work, threads, peer), answers in measured.items():
        values = [answer["median_ms"] for answer in answers]
        value = statistics.median(values)
        line = {"work": work, "threads": threads, "peer": peer, "rounds": len(values), "median_ms": value}
        line |= {"min_ms": min(values), "max_ms": max(values)}
        line["p99_ms"] = statistics.median(answer["p99_ms"] for answer in answers)
        ours = measured.get((work, threads, "graven"))
        if ours and work in WORKS:
            line["ratio"] = quotient(answers, ours)
        flops = WORKS[work].flops() if work in WORKS else PEAK[work]
        line |= {"flops": flops, "of_peak": flops / (value / 1e3) / (peak * threads)}
        if work in WORKS:
            line["bytes"] = WORKS[work].bytes()
        alone = measured.get((work, 1, peer))
        if threads > 1 and alone:
            line["gain"] = quotient(alone, answers)
        lines.append({name: value for name, value in line.items() if value is not None})
    order = {work: place for place, work in enumerate([*PEAK, *WORKS])}
    return sorted(lines, key=lambda line: (order[line["work"]], line["threads"]))


def peak_of(measured: dict[tuple, list[dict]]) -> float:
    """The peak of one core in FLOP/s."""
    rates = [PEAK[work] / (answer["median_ms"] / 1e3) for (work, threads, _), own in measured.items() if work in PEAK and threads == 1 for answer in own]
    return max(rates, default=math.nan)


def quiet_of(measured: dict[tuple, list[dict]]) -> dict[tuple, list[dict]]:
    """The answers of quiet cores."""
    quiet = {key: [answer for answer in own if answer["quiet"]] for key, own in measured.items()}
    return {key: own for key, own in quiet.items() if own}


def show(lines: list[dict]) -> None:
    print(
        f"{'work':11} {'threads':>7} {'peer':15} {'rounds':>6} {'median ms':>10} {'min to max':>19} {'ratio':>7} {'p99 ms':>9} {'p99/med':>7} "
        f"{'MFLOP':>8} {'MB':>7} {'of peak':>7} {'gain':>6}"
    )
    for line in lines:
        spread = f"{line['min_ms']:.4g} to {line['max_ms']:.4g}"
        ratio, gain = (f"{line[name]:.2f}x" if name in line else "" for name in ("ratio", "gain"))
        size = f"{line['bytes'] / 1e6:.2f}" if "bytes" in line else ""
        print(
            f"{line['work']:11} {line['threads']:>7} {line['peer']:15} {line['rounds']:>6} {line['median_ms']:>10.4f} {spread:>19} {ratio:>7} "
            f"{line['p99_ms']:>9.4f} {line['p99_ms'] / line['median_ms']:>7.2f} {line['flops'] / 1e6:>8.1f} {size:>7} "
            f"{line['of_peak']:>7.0%} {gain:>6}"
        )


def main() -> None:
    arguments = parse()
    python = environment(arguments.venv) if arguments.venv else sys.executable
    subprocess.run(["cargo", "build", "--quiet", "--release", "--example", "bench"], cwd=ROOT, check=True)
    # The program itself, not cargo, is what is measured.
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target"))
    binary = str((ROOT / target / "release" / "examples" / "bench").absolute())
    variants = ["eager", "best"] + ([] if arguments.no_compile else ["compile"])
    torch = lambda variant: [python, "tests/peers/torch_bench.py", variant]
    peers = [Peer("graven", [binary])]
    peers += [Peer(f"PyTorch {variant}", torch(variant)) for variant in variants]
    peers += [Peer("onnxruntime", torch("onnx"))]

    measured = measure_all(peers, arguments)
    peak = peak_of(measured)
    print(f"peak of one core: {peak / 1e9:.0f} GFLOP/s; `gain` is over one thread of the same peer")
    lines = summarise(measured, peak)
    show(lines)
    quiet = summarise(quiet_of(measured), peak)
    if quiet:
        print("\nof these, with quiet cores")
        show(quiet)
    lines += [line | {"quiet": True} for line in quiet]
    for error in sorted(error for peer in peers for error in peer.errors):
        print(f"left out: {error}")
    sizes = [] if arguments.no_memory else memory(python, binary)
    if sizes:
        print("peak resident memory of an epoch of 60,000 images at batch 1000, the images included, in MB")
    for size in sizes:
        print(f"  {size['memory']:30} {size['peak_resident_mb']:>8}")
    text = "".join(json.dumps(line) + "\n" for line in lines + sizes)
    if arguments.json:
        arguments.json.write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
