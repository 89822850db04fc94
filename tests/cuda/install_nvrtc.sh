#!/usr/bin/env bash
# Installs NVRTC, NVIDIA's compiler of kernels, which needs no GPU, below cargo's target folder: about 220 MB on disk.
# Tests find it there. Prints how to tell a program where it is.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=13.0.88
environment=${CARGO_TARGET_DIR:-target}/nvrtc
library() { find "$environment" -name 'libnvrtc.so.13' 2>/dev/null | head -n 1; }

if [[ ! -f $environment/version || $(<"$environment/version") != "$version" || -z $(library) ]]; then
    rm -rf "$environment"
    mkdir -p "$(dirname "$environment")"
    python3 -m venv "$environment" >&2
    "$environment/bin/pip" install --quiet --disable-pip-version-check "nvidia-cuda-nvrtc==$version" >&2
    echo "$version" >"$environment/version"
fi
echo "export GRAVEN_NVRTC=$(realpath "$(library)")"
