#!/usr/bin/env python3
"""Compile times of networks of 10, 50 and 100 layers, and of the tutorial network, as users get them: in a crate outside of
the workspace, with cargo's default profiles (macros unoptimised).

    python3 tests/compile_time/run.py                    # everything, as a Markdown table
    python3 tests/compile_time/run.py mlp_100 --no-release
    python3 tests/compile_time/run.py --cold tutorial    # with graven itself built anew for every figure
    python3 tests/compile_time/run.py --no-cuda          # without the default features of graven
    python3 tests/compile_time/run.py --write DIR        # only writes the crates

For each network: the time inside of the macros (`GRAVEN_TIME=1`, all doors of the crate together: median and minimum),
`cargo check` of the new crate, the same after an edit of a layer's size and after an edit of the body of `forward`
(medians), and a release build of the crate. Dependencies are built before any time is taken, unless `--cold`.
`--memory MB` compiles under `ulimit -v`.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

MAIN = """
fn main() -> graven::Result<()> {
    let mut network = Network::init(Seed(0), &Device::cpu())?;
    let (images, labels) = (Tensor::zeros([4, %s])?, Tensor::<i64>::zeros([4])?);
    let (loss, _) = network.loss_step(&images, &labels, &mut Sgd::new(0.01))?;
    println!("{} {loss}", network.forward(&images)?);
    Ok(())
}
"""

LOSS = """
        /// Mean loss, and how many of the batch were classified correctly.
        pub fn loss(&self, images: Tensor<[N, %s]>, labels: Tensor<[N], i64>) -> (Tensor<[]>, Tensor<[], i64>) {
            let logits = self.forward(images);
            (cross_entropy(logits, labels), correct(logits, labels))
        }
"""


def network(fields, shape, body, before=""):
    """A program with a network of these fields, which `body` turns from an input of that shape into ten classes."""
    return f"""//! A generated network.

use graven::prelude::*;
{before}
/// The network.
#[derive(Module)]
pub struct Network {{
{fields}}}

network! {{
    impl Network {{
        /// The logits.
        pub fn forward(&self, t: Tensor<[N, {shape}]>) -> Tensor<[N, 10]> {{
{body}        }}
{LOSS % shape}    }}
}}
{MAIN % shape}"""


def mlp(layers):
    """Linear layers of 64 features in a row."""
    fields = "".join(f"    #[layer(out_features = 64)]\n    fc{i}: Linear,\n" for i in range(layers - 1))
    fields += "    #[layer(out_features = 10)]\n    out: Linear,\n"
    body = "".join(f"            let t = relu(self.fc{i}(t));\n" for i in range(layers - 1))
    return network(fields, "784", body + "            self.out(t)\n")


def conv(layers):
    """Convolutions of 8 channels with a residual around every second, a pooling in the middle, and a linear layer."""
    fields, body = "", ""
    for i in range(layers - 1):
        fields += f"    #[layer(out_channels = 8, kernel_size = 3, padding = 1)]\n    conv{i}: Conv2d,\n"
        residual = " + t" if i % 2 else ""
        body += f"            let t = relu(self.conv{i}(t){residual});\n"
        if i == layers // 2:
            body += "            let t = max_pool2d(t, kernel_size = 2, stride = 2);\n"
    fields += "    #[layer(out_features = 10)]\n    out: Linear,\n"
    return network(fields, "1, 14, 14", body + "            self.out(t.flatten(1))\n")


BLOCK = """
/// Two convolutions and what goes around them.
#[derive(Module)]
pub struct Block<const C: usize> {
    #[layer(in_channels = C, out_channels = C, kernel_size = 3, padding = 1)]
    conv1: Conv2d,
    #[layer(in_channels = C, out_channels = C, kernel_size = 3, padding = 1)]
    conv2: Conv2d,
}

network! {
    impl Block {
        /// The output of the block.
        pub fn forward(&self, t: Tensor<[N, C, H, W]>) -> Tensor<[N, C, H, W]> {
            relu(self.conv2(relu(self.conv1(t))) + t)
        }
    }
}
"""


def nested(layers):
    """The same as modules: stages of five blocks of two convolutions."""
    blocks = "".join(f"    block{i}: Block<8>,\n" for i in range(5))
    stages = "".join(f"    stage{i}: Stage,\n" for i in range(layers // 10))
    modules = f"""
{BLOCK}/// Five blocks.
#[derive(Module)]
pub struct Stage {{
{blocks}}}

network! {{
    impl Stage {{
        /// The output of the stage.
        pub fn forward(&self, t: Tensor<[N, 8, 14, 14]>) -> Tensor<[N, 8, 14, 14]> {{
            {"".join(f"let t = self.block{i}(t); " for i in range(4))}
            self.block4(t)
        }}
    }}
}}
"""
    fields = "    #[layer(out_channels = 8, kernel_size = 3, padding = 1)]\n    stem: Conv2d,\n" + stages
    fields += "    #[layer(out_features = 10)]\n    out: Linear,\n"
    body = "            let t = relu(self.stem(t));\n"
    body += "".join(f"            let t = self.stage{i}(t);\n" for i in range(layers // 10))
    return network(fields, "1, 14, 14", body + "            self.out(t.flatten(1))\n", modules)


def tutorial():
    """The network of the tutorial, from the goldens of the stages."""
    text = (ROOT / "tests/stages/tutorial.rs").read_text()
    return "//! The tutorial.\n\nuse graven::prelude::*;\n\n" + text + MAIN % "1, 28, 28"


def arrays(layers):
    """Blocks of two convolutions in arrays of five, in a loop."""
    blocks = "".join(f"    stage{i}: [Block<8>; 5],\n" for i in range(layers // 10))
    fields = "    #[layer(out_channels = 8, kernel_size = 3, padding = 1)]\n    stem: Conv2d,\n" + blocks
    fields += "    #[layer(out_features = 10)]\n    out: Linear,\n"
    body = "            let mut t = relu(self.stem(t));\n"
    body += "".join(f"            for block in &self.stage{i} {{ t = block(t); }}\n" for i in range(layers // 10))
    return network(fields, "1, 14, 14", body + "            self.out(t.flatten(1))\n", BLOCK)


NETWORKS = {"tutorial": tutorial}
for family in (mlp, conv, nested, arrays):
    for n_layers in (10, 50, 100):
        NETWORKS[f"{family.__name__}_{n_layers}"] = lambda family=family, n_layers=n_layers: family(n_layers)


def write(folder, name, cuda):
    """Writes the crate of a network."""
    (folder / "src").mkdir(parents=True, exist_ok=True)
    # A crate of its own, so that no profile of graven's workspace applies.
    (folder / "Cargo.toml").write_text(f"""[package]
name = "{name}"
version = "0.0.0"
edition = "2024"
publish = false

[dependencies]
graven = {{ path = "{ROOT}/runtime", default-features = {str(cuda).lower()} }}

[workspace]
""")
    (folder / "Cargo.lock").write_bytes((ROOT / "Cargo.lock").read_bytes())
    (folder / "src/main.rs").write_text(NETWORKS[name]())


def cargo(folder, target, arguments, memory):
    """Runs cargo: (seconds, what it printed)."""
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target), "GRAVEN_TIME": "1", "CARGO_TERM_COLOR": "never"}
    environment.pop("RUSTFLAGS", None)
    limit = f"ulimit -v {memory * 1024}; " if memory else ""
    start = time.perf_counter()
    done = subprocess.run(["sh", "-c", f"{limit}exec cargo {arguments} --offline --quiet"], cwd=folder, env=environment,
                          capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"cargo {arguments} in {folder}:\n{done.stderr}")
    return seconds, done.stderr


def expansion(text):
    """Milliseconds inside of the macros."""
    return sum(float(ms) for ms in re.findall(r"^graven: \S+ took ([0-9.]+) ms", text, re.M))


def resized(text, step):
    """The program with one layer of another size: the last one is as wide as the output is declared."""
    classes = 11 + step
    text = re.sub(r"(\n    #\[layer\([^\n]*out_features = )10(\)\]\n    out: Linear)", rf"\g<1>{classes}\2", text)
    return text.replace("-> Tensor<[N, 10]>", f"-> Tensor<[N, {classes}]>")


def rewritten(text, step):
    """The program with another number in the body of `forward`."""
    return text.replace("self.out(", f"{step + 2}.0 * self.out(")


def measure(folder, target, name, arguments):
    """One row of the table."""
    write(folder, name, arguments.cuda)
    main, text = folder / "src/main.rs", (folder / "src/main.rs").read_text()
    expansions = []

    def run(command):
        if arguments.cold:
            shutil.rmtree(target, ignore_errors=True)
        seconds, printed = cargo(folder, target, command, arguments.memory)
        return seconds, expansion(printed)

    def edited(edit):
        """The median time of a check after an edit."""
        seconds = []
        for step in range(arguments.runs):
            changed = edit(text, step)
            assert changed != text, name
            main.write_text(changed)
            taken = cargo(folder, target, "check", arguments.memory)
            seconds.append(taken[0])
            expansions.append(expansion(taken[1]))
        return statistics.median(seconds)

    cold, _ = run("check")
    sizes, bodies = edited(resized), edited(rewritten)
    release = run("build --release")[0] if arguments.release else float("nan")
    inside = f"{statistics.median(expansions):.0f} ms ({min(expansions):.0f})"
    print(f"| {name} | {inside} | {cold:.2f} s | {sizes:.2f} s | {bodies:.2f} s | {release:.1f} s |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", help=f"of {', '.join(NETWORKS)}")
    parser.add_argument("--no-release", dest="release", action="store_false", help="leave the release builds out")
    parser.add_argument("--runs", type=int, default=5, help="how often a check is repeated (default: 5)")
    parser.add_argument("--cold", action="store_true", help="build graven and its dependencies within every figure")
    parser.add_argument("--memory", type=int, help="compile in so many MB of address space")
    parser.add_argument("--no-cuda", dest="cuda", action="store_false", help="without the feature `cuda` of graven")
    parser.add_argument("--target", type=Path, help="where dependencies are built (default: a temporary folder)")
    parser.add_argument("--write", type=Path, metavar="DIR", help="write the crates there and stop")
    arguments = parser.parse_args()
    names = arguments.networks or list(NETWORKS)
    unknown = [name for name in names if name not in NETWORKS]
    if unknown:
        parser.error(f"no network is called {unknown[0]}")
    if arguments.write:
        for name in names:
            write(arguments.write / name, name, arguments.cuda)
        return
    with tempfile.TemporaryDirectory(prefix="graven-compile-time-") as temporary:
        temporary = Path(temporary)
        target = arguments.target or temporary / "target"
        # Dependencies first. The crates share a target folder and bear their own names.
        if not arguments.cold:
            write(temporary / "warm", "tutorial", arguments.cuda)
            cargo(temporary / "warm", target, "check", None)
            if arguments.release:
                cargo(temporary / "warm", target, "build --release", None)
        print("| network | in the macros (least) | check | after an edit of a size | after an edit of the body | release build |")
        print("| - | -: | -: | -: | -: | -: |")
        for name in names:
            measure(temporary / name, target, name, arguments)


if __name__ == "__main__":
    main()
