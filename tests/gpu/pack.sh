#!/usr/bin/env bash
# Builds everything that tests/gpu/run.py needs on a machine with a GPU but without Rust, into target/gpu:
#
#     tests/gpu/pack.sh
#     (copy target/gpu to the other machine)
#     python3 target/gpu/run.py
set -euo pipefail
cd "$(dirname "$0")/../.."

out=target/gpu
rm -rf "$out"
mkdir -p "$out/tests"

# The path of each test program, from cargo's own messages.
programs() {
    cargo test --release --no-run --message-format=json -p graven-tests --test "$1" |
        python3 -c 'import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("reason") == "compiler-artifact" and message.get("executable"):
        print(message["executable"])'
}

for test in pytorch cuda_training; do
    strip -o "$out/$test" "$(programs "$test" | tail -n 1)"
done
cargo build --release -p graven-examples --example gpu --example cuda_kernels
for example in gpu cuda_kernels; do
    strip -o "$out/$example" "target/release/examples/$example"
done
# The tests read their fixtures from the folder they run in.
cp -r tests/fixtures "$out/tests/"
cp tests/gpu/run.py tests/gpu/torch_gpu.py "$out/"
du -sh "$out"
