"""All that needs a GPU, in one call: tests, compute-sanitizer, timings beside PyTorch. Needs no Rust.

    python3 target/gpu/run.py [--no-sanitizer] [--no-peers]

`tests/gpu/pack.sh` builds target/gpu elsewhere. Prints a report, and exits with 1 if a test failed. PyTorch is found in the
Python that runs this; without it the timings stand alone.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
BUDGET_S = 520


def nvrtc_folder() -> str | None:
    """The folder of the NVRTC that came with PyTorch, for machines without a toolkit."""
    for base in map(pathlib.Path, sys.path):
        for folder in ("nvidia/cu13/lib", "nvidia/cuda_nvrtc/lib"):
            if list((base / folder).glob("libnvrtc.so*")):
                return str(base / folder)
    return None


def environment() -> dict[str, str]:
    variables = dict(os.environ, GRAVEN_TEST_DEVICE="cuda", CARGO_MANIFEST_DIR=str(HERE / "tests"))
    if folder := nvrtc_folder():
        variables["LD_LIBRARY_PATH"] = ":".join(filter(None, [variables.get("LD_LIBRARY_PATH"), folder]))
    return variables


def run(title: str, command: list[str], deadline: float) -> tuple[bool, str]:
    print(f"== {title}", flush=True)
    left = deadline - time.monotonic()
    if left < 5:
        print("not run: no time left")
        return False, ""
    try:
        done = subprocess.run(
            command, cwd=HERE / "tests", env=environment(), capture_output=True, text=True, timeout=left, check=False
        )
    except subprocess.TimeoutExpired:
        print("stopped: no time left")
        return False, ""
    except OSError as error:
        print(f"not run: {error}")
        return False, ""
    text = done.stdout + done.stderr
    print("\n".join(text.strip().splitlines()[-25:]))
    return done.returncode == 0, done.stdout


def timings(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-sanitizer", action="store_true")
    parser.add_argument("--no-peers", action="store_true")
    arguments = parser.parse_args()
    deadline = time.monotonic() + BUDGET_S
    failed = []

    print(time.strftime("%Y-%m-%d"), flush=True)
    run("machine", ["nvidia-smi", "--query-gpu=name,driver_version,compute_cap", "--format=csv,noheader"], deadline)

    for test in ("cuda_training", "pytorch"):
        command = [str(HERE / test), "--test-threads=1", "--skip", "every_instruction_set", "--skip", "a_cuda_device"]
        if not run(f"tests: {test}", command, deadline)[0]:
            failed.append(test)

    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer and not arguments.no_sanitizer:
        for tool in ("memcheck", "racecheck"):
            command = [sanitizer, "--tool", tool, "--error-exitcode", "9", str(HERE / "cuda_training")]
            if not run(f"compute-sanitizer {tool}", [*command, "outputs_and_gradients", "--test-threads=1"], deadline)[0]:
                failed.append(tool)
    elif not arguments.no_sanitizer:
        print("== compute-sanitizer\nnot run: it is not on PATH")

    run("compilation of the kernels, cold", ["env", f"GRAVEN_CACHE={HERE / 'cold'}", str(HERE / "cuda_kernels")], deadline)
    run("compilation of the kernels, cached", ["env", f"GRAVEN_CACHE={HERE / 'cold'}", str(HERE / "cuda_kernels")], deadline)

    # In turn, so that all see the same machine.
    rows: dict[tuple[str, int], dict[str, list[float]]] = {}
    for round_ in range(2):
        texts = [run(f"timings: graven, round {round_ + 1}", [str(HERE / "gpu")], deadline)]
        if not arguments.no_peers:
            command = [sys.executable, str(HERE / "torch_gpu.py")]
            texts.append(run(f"timings: PyTorch, round {round_ + 1}", command, deadline))
        for ok, text in texts:
            if not ok and "graven" not in failed and not text:
                continue
            for row in timings(text):
                rows.setdefault((row["work"], row["batch"]), {}).setdefault(row["peer"], []).append(row["median_ms"])

    print("\n| work | batch | peer | ms | times graven |\n| - | - | - | - | - |")
    for (work, batch), peers in rows.items():
        ours = min(peers.get("graven", [float("nan")]))
        for peer, values in peers.items():
            print(f"| {work} | {batch} | {peer} | {min(values):.4f} | {min(values) / ours:.2f} |")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
