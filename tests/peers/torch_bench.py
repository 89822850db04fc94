"""The work items of the benchmark in PyTorch or onnxruntime: reads `WORK THREADS REPEATS`, answers one line of JSON each.

    python tests/peers/torch_bench.py eager|best|compile|onnx

`eager` is the plain loop of the tutorials; `best` adds what helps on a CPU: fused Adam, channels_last, inference mode, tensors
indexed instead of a DataLoader; `compile` is torch.compile of the forward pass and loss, with the rest of `best` but
channels_last; `onnx` exports the network. What a variant cannot do is answered with an error.
"""

import ctypes
import functools
import importlib
import io
import json
import sys
import time

try:
    import torch
    import torch.nn.functional as F
    from torch import nn
except ImportError:
    torch = None


# Rows and columns of the matrices whose product measures the peak.
SGEMM = 2048


def keep_freed_memory() -> None:
    """Lets glibc keep the activations of one step for the next; otherwise page faults swing the medians."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.mallopt(-1, 1 << 30)
        libc.mallopt(-3, 1 << 25)


def networks():
    class Block(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
            self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

        def forward(self, t):
            return F.relu(t + self.conv2(F.relu(self.conv1(t))))

    def tutorial():
        pool = lambda: nn.MaxPool2d(2, 2)
        convolutions = [nn.Conv2d(1, 6, 5), nn.ReLU(), pool(), nn.Conv2d(6, 12, 5), nn.ReLU(), pool(), nn.Flatten()]
        return nn.Sequential(*convolutions, nn.Linear(192, 120), nn.ReLU(), nn.Linear(120, 60), nn.ReLU(), nn.Linear(60, 10))

    def mlp():
        return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))

    def residual():
        def down(inputs, outputs, stride):
            return [nn.Conv2d(inputs, outputs, 3, stride, 1), nn.ReLU(), Block(outputs)]

        stages = [*down(3, 16, 1), *down(16, 32, 2), *down(32, 64, 2)]
        return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))

    def odd():
        convolutions = [nn.Conv2d(1, 7, 3, 3), nn.ReLU(), nn.Conv2d(7, 13, 3, padding=1), nn.ReLU()]
        return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(13 * 81, 10))

    return {
        "step-100": (tutorial, (100, 1, 28, 28)),
        "step-1000": (tutorial, (1000, 1, 28, 28)),
        "mlp-128": (mlp, (128, 784)),
        "residual-64": (residual, (64, 3, 32, 32)),
        "odd-37": (odd, (37, 1, 28, 28)),
        "epoch-100": (tutorial, (60000, 1, 28, 28)),
        "epoch-1000": (tutorial, (60000, 1, 28, 28)),
        "infer-1": (tutorial, (1, 1, 28, 28)),
        "infer-1000": (tutorial, (1000, 1, 28, 28)),
    }


def step_of(network, variant):
    adam = torch.optim.Adam(network.parameters(), lr=0.001, fused=variant != "eager")
    loss_of = lambda images, labels: F.cross_entropy(network(images), labels)
    if variant == "compile":
        loss_of = torch.compile(loss_of)

    def step(images, labels):
        adam.zero_grad(set_to_none=True)
        loss_of(images, labels).backward()
        adam.step()

    return step


@functools.lru_cache(maxsize=None)
def prepare(work, variant, threads):
    """A function that runs the work once, or None if this peer does not do it. Kept, since compiling takes a while."""
    if work == "sgemm":
        if variant != "eager":
            return None
        a, b, product = (torch.rand(SGEMM, SGEMM) for _ in range(3))
        return lambda: torch.mm(a, b, out=product)
    if variant == "compile":
        # One network after the other is compiled from the same lines.
        importlib.import_module("torch._dynamo").config.recompile_limit = 100
    if work not in networks():
        return None
    make, shape = networks()[work]
    torch.manual_seed(0)
    network, images, labels = make(), torch.rand(*shape), torch.arange(shape[0]) % 10
    if variant == "onnx":
        return onnx_run(network, images, threads) if work.startswith("infer") else None
    if variant == "best" and len(shape) == 4:
        network, images = network.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    if work.startswith("infer"):
        network.eval()
        run = torch.compile(network) if variant == "compile" else network
        guard = torch.inference_mode if variant == "best" else torch.no_grad

        def infer():
            with guard():
                run(images)

        return infer
    step = step_of(network, variant)
    if not work.startswith("epoch"):
        return lambda: step(images, labels)
    batch_size = int(work.removeprefix("epoch-"))
    if variant == "eager":
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, labels), batch_size=batch_size, shuffle=True)

        def epoch():
            for batch in loader:
                step(*batch)

        return epoch

    def indexed_epoch():
        for indices in torch.randperm(len(images)).split(batch_size):
            step(images[indices], labels[indices])

    return indexed_epoch


def onnx_run(network, images, threads):
    try:
        import onnxruntime
    except ImportError:
        return None
    file = io.BytesIO()
    torch.onnx.export(network.eval(), (images,), file, input_names=["images"], dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    inputs = {"images": images.numpy()}
    return lambda: session.run(None, inputs)


def measure(work, variant, threads, repeats) -> dict:
    run = None
    if torch is not None:
        torch.set_num_threads(threads)
        run = prepare(work, variant, threads)
    if run is None:
        return {"error": "not done by this peer"}
    for _ in range((repeats + 3) // 4):
        run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    times.sort()
    at = lambda part: times[int((len(times) - 1) * part)]
    return {"work": work, "threads": threads, "min_ms": at(0.0), "median_ms": at(0.5), "p99_ms": at(0.99)}


def main() -> None:
    variant = sys.argv[1]
    if torch is not None:
        keep_freed_memory()
    for line in sys.stdin:
        work, threads, repeats = line.split()
        threads, repeats = int(threads), int(repeats)
        try:
            answer = measure(work, variant, threads, repeats)
        except Exception as error:  # A compiler that is missing, or an operation that it cannot do.
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
