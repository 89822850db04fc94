"""Times one training step of the tutorial network in PyTorch, on the CPU.

    python tests/peers/step.py [--batch-size 100] [--threads 1] [--mode eager|compile]

A step is `zero_grad(set_to_none=True)`, forward, cross entropy, backward and Adam, on a batch that is already in memory.
Prints one line of JSON with the median over 200 steps after a warm-up.

The defaults are PyTorch at its best: on one Zen 5 core with PyTorch 2.15 and batch 100, taking steps in turn in one
process, the median was 4.29 ms with the plain Adam, 4.35 ms with `--adam foreach`, 4.20 ms with the fused one, and
3.75 ms with the fused one and channels_last. `--mode compile` took 7.6 ms.
"""

import argparse
import ctypes
import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WARM_UP_STEPS = 50
STEPS = 200


def keep_freed_memory() -> None:
    """Lets glibc keep the activations of one step for the next, as PyTorch's own pool does on a GPU.

    By default it hands them back to the system, and page faults swing the median between 4 and 7 ms from run to run.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        m_trim_threshold, m_mmap_threshold = -1, -3
        libc.mallopt(m_trim_threshold, 1 << 30)
        libc.mallopt(m_mmap_threshold, 1 << 25)


class Network(nn.Module):
    """The convolutional network of the PyTorch tutorials, for 28 x 28 grey images in ten classes."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.conv2 = nn.Conv2d(6, 12, 5)
        self.fc1 = nn.Linear(12 * 4 * 4, 120)
        self.fc2 = nn.Linear(120, 60)
        self.out = nn.Linear(60, 10)

    def forward(self, images: Tensor) -> Tensor:
        t = F.max_pool2d(F.relu(self.conv1(images)), kernel_size=2, stride=2)
        t = F.max_pool2d(F.relu(self.conv2(t)), kernel_size=2, stride=2)
        t = t.reshape(-1, 12 * 4 * 4)
        t = F.relu(self.fc1(t))
        t = F.relu(self.fc2(t))
        return self.out(t)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--mode", choices=["eager", "compile"], default="eager")
    parser.add_argument("--adam", choices=["single", "foreach", "fused"], default="fused")
    parser.add_argument("--memory-format", choices=["contiguous", "channels_last"], default="channels_last")
    arguments = parser.parse_args()

    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    memory_format = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}[arguments.memory_format]
    network = Network().to(memory_format=memory_format)
    images = torch.rand(arguments.batch_size, 1, 28, 28).to(memory_format=memory_format)
    labels = torch.randint(10, (arguments.batch_size,))
    optimizer = torch.optim.Adam(
        network.parameters(), lr=0.01, foreach=arguments.adam == "foreach", fused=arguments.adam == "fused"
    )

    def loss_of(images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(network(images), labels)

    if arguments.mode == "compile":
        loss_of = torch.compile(loss_of)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss_of(images, labels).backward()
        optimizer.step()

    for _ in range(WARM_UP_STEPS):
        step()
    times_ms = []
    for _ in range(STEPS):
        start = time.perf_counter()
        step()
        times_ms.append((time.perf_counter() - start) * 1e3)

    result = {
        "peer": f"PyTorch {arguments.mode}",
        "version": torch.__version__,
        "batch": arguments.batch_size,
        "threads": arguments.threads,
        "adam": arguments.adam,
        "memory_format": arguments.memory_format,
        "median_ms": round(statistics.median(times_ms), 4),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
