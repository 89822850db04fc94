"""Times the tutorial network in PyTorch on a GPU: eager, a whole step in one CUDA graph, torch.compile.

    python tests/gpu/torch_gpu.py [--batch-sizes 100,1000,10000] [--steps 200]

The batch is on the device, Adam is fused and capturable, and each step's loss is read back, as examples/gpu.rs does. Prints
one line of JSON for each work and variant; a variant that does not run says why on standard error.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROUNDS = 5


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


def median_ms(step: Callable[[], object], steps: int) -> float:
    for _ in range(20):
        step()
    rounds = []
    for _ in range(ROUNDS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(steps):
            step()
        torch.cuda.synchronize()
        rounds.append(1e3 * (time.perf_counter() - start) / steps)
    return statistics.median(rounds)


def training_step(images: Tensor, labels: Tensor, mode: str) -> Callable[[], float]:
    network = Network().cuda()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001, fused=True, capturable=True)

    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    if mode == "eager":
        return lambda: step().item()
    if mode == "CUDA graph":
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            loss = step()

        def replay() -> float:
            graph.replay()
            return loss.item()

        return replay
    compiled = torch.compile(step, mode=mode)
    return lambda: compiled().item()


def inference(mode: str) -> Callable[[], object]:
    network = Network().cuda().eval()
    image = torch.zeros(1, 1, 28, 28, device="cuda")
    forward = network if mode == "eager" else torch.compile(network, mode=mode)

    @torch.inference_mode()
    def step() -> object:
        return forward(image).cpu()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-sizes", default="100,1000,10000")
    parser.add_argument("--steps", type=int, default=200)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    works: list[tuple[str, int, str, Callable[[], Callable[[], object]]]] = []
    for batch in map(int, arguments.batch_sizes.split(",")):
        images = torch.rand(batch, 1, 28, 28, device="cuda")
        labels = torch.randint(10, (batch,), device="cuda")
        for mode in ("eager", "CUDA graph", "reduce-overhead", "max-autotune"):
            works.append(("training step", batch, mode, lambda i=images, l=labels, m=mode: training_step(i, l, m)))
    for mode in ("eager", "reduce-overhead", "max-autotune"):
        works.append(("inference", 1, mode, lambda m=mode: inference(m)))
    for work, batch, mode, make in works:
        try:
            ms = median_ms(make(), arguments.steps)
        except Exception as error:  # noqa: BLE001: another variant may run
            print(f"{work}, batch {batch}, {mode}: {error}", file=sys.stderr)
            continue
        name = f"PyTorch {torch.__version__} {mode}"
        print(json.dumps({"peer": name, "work": work, "batch": batch, "median_ms": round(ms, 5)}), flush=True)


if __name__ == "__main__":
    main()
