#!/usr/bin/env python3
"""How long cold release builds of the tutorial network take: in graven and in candle as crates of their own, and graven's main job.

    python3 tests/compile_time/frameworks.py [--rounds 2]

Each build starts from nothing, in turn with the others, since these minutes depend on the machine more than on anything else. The
crates have cargo's default release profile, default features, and do the same: a step of Adam on made-up images. The first round
fetches what is not on the machine; fetching is not timed.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from run import ROOT, write

CANDLE = """
use candle_core::{DType, Device, Module, Result, Tensor};
use candle_nn::{AdamW, Conv2d, Linear, Optimizer, ParamsAdamW, VarBuilder, VarMap, loss};

struct Network {
    conv1: Conv2d,
    conv2: Conv2d,
    fc1: Linear,
    fc2: Linear,
    out: Linear,
}

impl Network {
    fn new(vb: VarBuilder) -> Result<Self> {
        Ok(Network {
            conv1: candle_nn::conv2d(1, 6, 5, Default::default(), vb.pp("conv1"))?,
            conv2: candle_nn::conv2d(6, 12, 5, Default::default(), vb.pp("conv2"))?,
            fc1: candle_nn::linear(12 * 4 * 4, 120, vb.pp("fc1"))?,
            fc2: candle_nn::linear(120, 60, vb.pp("fc2"))?,
            out: candle_nn::linear(60, 10, vb.pp("out"))?,
        })
    }

    fn forward(&self, t: &Tensor) -> Result<Tensor> {
        let t = self.conv1.forward(t)?.relu()?.max_pool2d(2)?;
        let t = self.conv2.forward(&t)?.relu()?.max_pool2d(2)?;
        let t = t.flatten_from(1)?;
        let t = self.fc1.forward(&t)?.relu()?;
        let t = self.fc2.forward(&t)?.relu()?;
        self.out.forward(&t)
    }
}

fn main() -> Result<()> {
    let device = Device::Cpu;
    let vars = VarMap::new();
    let network = Network::new(VarBuilder::from_varmap(&vars, DType::F32, &device))?;
    let mut adam = AdamW::new(vars.all_vars(), ParamsAdamW { lr: 0.01, weight_decay: 0.0, ..Default::default() })?;
    let images = Tensor::zeros((4, 1, 28, 28), DType::F32, &device)?;
    let labels = Tensor::zeros(4, DType::U32, &device)?;
    let loss = loss::cross_entropy(&network.forward(&images)?, &labels)?;
    adam.backward_step(&loss)?;
    println!("{} {loss}", network.forward(&images)?);
    Ok(())
}
"""


def write_candle(folder: Path) -> None:
    """The crate of the same network in candle."""
    (folder / "src").mkdir(parents=True)
    (folder / "Cargo.toml").write_text("""[package]
name = "candle-tutorial"
version = "0.0.0"
edition = "2024"
publish = false

[dependencies]
candle-core = "0.11.1"
candle-nn = "0.11.1"

[workspace]
""")
    (folder / "src/main.rs").write_text(CANDLE)


def build(folder: Path, arguments: list[str], target: Path) -> tuple[float, float]:
    """Seconds of the clock and of the processor."""
    shutil.rmtree(target, ignore_errors=True)
    if subprocess.run(["cargo", "fetch", "--quiet"], cwd=folder).returncode:
        raise SystemExit("cargo could not fetch what this build needs; candle has to come from the registry")
    environment = {key: value for key, value in os.environ.items() if key != "RUSTFLAGS"} | {"CARGO_TARGET_DIR": str(target)}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(["cargo", "build", "--release", "--quiet", *arguments], cwd=folder, env=environment, check=True)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error(f"{arguments.rounds} rounds measure nothing; at least 1")
    with tempfile.TemporaryDirectory(prefix="graven-frameworks-") as temporary:
        temporary = Path(temporary)
        write(temporary / "graven", "tutorial", cuda=True)
        write_candle(temporary / "candle")
        builds = {
            "graven, a crate": (temporary / "graven", []),
            "candle, a crate": (temporary / "candle", []),
            "graven, the main job": (ROOT, ["--example", "fashion_mnist"]),
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in builds}
        for _ in range(arguments.rounds):
            for name, (folder, options) in builds.items():
                times[name].append(build(folder, options, temporary / "target"))
                print(f"{name}: {times[name][-1][0]:.1f} s, {times[name][-1][1]:.0f} s of the processor", flush=True)
    print("| cold release build | seconds | of the processor |")
    print("| - | -: | -: |")
    for name, own in times.items():
        clock, processor = (statistics.median(values) for values in zip(*own))
        print(f"| {name} | {clock:.0f} | {processor:.0f} |")


if __name__ == "__main__":
    main()
