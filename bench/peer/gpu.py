"""Measures PyTorch on the GPU beside `ddsc_gpu_bench --json`, whose lines are read from --ours, and prints one table.

    python bench/peer/gpu.py --ours ours.jsonl [--cublaslt cublaslt.jsonl] [--seconds 0.5] [--no-compile]

--cublaslt names such lines that were measured with DDSC_GEMM=cublaslt, for a column beside ours.
Everything is bf16. Products are cuBLAS's, attention is PyTorch's flash attention (without rotary positions, which ours
includes); whole steps are the model of model.py under autocast, as written and compiled, with fused AdamW.
"""
import argparse
import json
import re
import statistics
import time

import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from count_model import CountDenoiser, log_probs
from model import Denoiser

FIRST_RANK, VOCABULARY, GENES = 2, 54, 20000
MASK = VOCABULARY - 1
PRESETS = {"tiny": (512, 8, 8), "small": (768, 12, 12)}
LINEAR = {
    "small qkv": (65536, 768, 2304),
    "small attention out": (65536, 768, 768),
    "small mlp in": (65536, 768, 3072),
    "small mlp out": (65536, 3072, 768),
    "square": (8192, 8192, 8192),
}


def milliseconds(work, seconds):
    """Median time of a call, many in a row between two waits, after calls that compile and warm up."""
    for _ in range(3):
        work()
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    calls = max(1, min(500, int(0.02 / (time.perf_counter() - start))))
    times, total = [], 0.0
    while total < seconds or len(times) < 3:
        start = time.perf_counter()
        for _ in range(calls):
            work()
        torch.cuda.synchronize()
        times.append((time.perf_counter() - start) / calls)
        total += times[-1] * calls
    return statistics.median(times) * 1e3


def random(*size):
    return torch.rand(*size, device="cuda").mul_(2).sub_(1).bfloat16()


def linear(what, seconds):
    rows, inputs, outputs = LINEAR[what]
    x, weight, dy = random(rows, inputs), random(outputs, inputs), random(rows, outputs)
    name = f"linear {what}, "
    yield name + "forward", milliseconds(lambda: F.linear(x, weight), seconds)
    yield name + "input gradient", milliseconds(lambda: dy @ weight, seconds)
    yield name + "weight gradient", milliseconds(lambda: dy.T @ x, seconds)


def attention(name, seconds):
    cells, length, *keys, heads, width = map(int, re.findall(r"\d+", name))
    q, dout = (random(cells, heads, length, width) for _ in range(2))
    k, v = (random(cells, heads, *(keys or [length]), width) for _ in range(2))
    for input in (q, k, v):
        input.requires_grad_()
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        with torch.no_grad():
            yield name + ", forward", milliseconds(lambda: F.scaled_dot_product_attention(q, k, v), seconds)
        out = F.scaled_dot_product_attention(q, k, v)
        backward = lambda: torch.autograd.grad(out, (q, k, v), dout, retain_graph=True)
        yield name + ", backward", milliseconds(backward, seconds)


def training(model, loss_of_step):
    """A whole optimizer step: the loss, backward, clipping, AdamW and the moving average."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=0.0, fused=True)
    averages = [p.detach().clone() for p in model.parameters()]

    def step():
        loss = loss_of_step()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(averages, list(model.parameters()), 1e-4)
        loss.item()

    return step


def steps(preset, compiled, seconds):
    width, blocks, heads = PRESETS[preset]
    torch.manual_seed(0)
    torch._dynamo.reset()
    model = Denoiser(
        vocabulary=VOCABULARY, genes=GENES, width=width, blocks=blocks, heads=heads, condition_width=128, dropout=0.1
    ).cuda()
    network = torch.compile(model) if compiled else model
    clean = torch.randint(FIRST_RANK, MASK, (64, 1024), device="cuda")
    genes = torch.randint(3, GENES, (64, 1024), device="cuda")
    still = torch.zeros(64, device="cuda")
    ranks = torch.arange(FIRST_RANK, MASK, dtype=torch.float32, device="cuda")
    times = ((torch.arange(64, device="cuda") + 0.5) / 64)[:, None]

    def logits(tokens):
        with torch.autocast("cuda", dtype=torch.bfloat16):
            return network(tokens, still, genes)

    def loss_of_step():
        masked = torch.rand(clean.shape, device="cuda") < times
        out = logits(torch.where(masked, MASK, clean)).float()
        loss = -out[..., :MASK].log_softmax(-1).gather(-1, clean[..., None])[..., 0]
        mean = (out[..., FIRST_RANK:MASK].softmax(-1) * ranks).sum(-1)
        loss = loss + (mean - clean).abs() / (len(ranks) - 1)
        return (loss * masked / times).mean()

    half = torch.where(torch.arange(1024, device="cuda") % 2 == 0, MASK, clean)

    @torch.no_grad()
    def sample():
        weights = logits(half).float()[..., :MASK].softmax(-1)
        drawn = (weights / torch.empty_like(weights).exponential_()).argmax(-1)
        torch.where(half == MASK, drawn, half).cpu()

    @torch.no_grad()
    def forward():
        logits(clean)

    model.train()
    name = f"{preset} 64 x 1024, "
    yield name + "train step", milliseconds(training(model, loss_of_step), seconds)
    model.eval()
    yield name + "forward", milliseconds(forward, seconds)
    yield name + "sampling step", milliseconds(sample, seconds)


def count_steps(preset, compiled, seconds):
    """The steps of a model of counts: 64 cells of 512 rows that are attended to and 512 queries."""
    width, blocks, heads = PRESETS[preset]
    torch.manual_seed(0)
    torch._dynamo.reset()
    values, keys = 177, 512
    model = CountDenoiser(
        values=values, genes=GENES, width=width, blocks=blocks, heads=heads, condition_width=128, dropout=0.1,
        state=32, summary=35,
    ).cuda()
    network, likelihood = (torch.compile(f) if compiled else f for f in (model, log_probs))
    tokens = torch.randint(3, 8, (64, 1024), device="cuda")
    tokens[:, keys:] = values + 2
    genes = torch.randint(3, GENES, (64, 1024), device="cuda")
    answers = torch.randint(0, 4, (64, keys, 1), device="cuda")
    told = torch.tensor([5.0, 7.3, 5.0, 8.0], device="cuda")[:, None].repeat(1, 64)
    summary = torch.full((64, 35), 0.5, device="cuda")
    mean = torch.full((64, keys), 3000 / GENES, device="cuda")
    middle = torch.arange(values, device="cuda", dtype=torch.float64)
    fixed = -torch.lgamma(middle + 1)

    def predicted():
        with torch.autocast("cuda", dtype=torch.bfloat16):
            logits, tilt, log_size = network(tokens, genes, told, summary, keys)
        return likelihood(logits, tilt, log_size, mean, middle, fixed)

    def loss_of_step():
        return -predicted().gather(-1, answers).mean()

    @torch.no_grad()
    def sample():
        weights = predicted().exp()
        (weights / torch.empty_like(weights).exponential_()).argmax(-1).cpu()

    model.train()
    name = f"{preset} of counts 64 x 1024, "
    yield name + "train step", milliseconds(training(model, loss_of_step), seconds)
    model.eval()
    yield name + "prediction and draws", milliseconds(sample, seconds)


def peers(names, seconds, kinds):
    """(name, "eager" or "compiled", milliseconds) of all that ours measured."""
    for what in LINEAR:
        if any(name.startswith(f"linear {what},") for name in names):
            for name, time in linear(what, seconds):
                yield name, "eager", time
    for name in dict.fromkeys(name.rsplit(", ", 1)[0] for name in names if name.startswith("attention ")):
        for part, time in attention(name, seconds):
            yield part, "eager", time
    for preset in PRESETS:
        for prefix, measure in ((f"{preset} 64", steps), (f"{preset} of counts 64", count_steps)):
            if any(name.startswith(prefix) for name in names):
                for kind in kinds:
                    for name, time in measure(preset, kind == "compiled", seconds):
                        yield name, kind, time
                    torch.cuda.empty_cache()


def rows_of(path):
    """What ddsc_gpu_bench wrote there, by name; nothing where there is no path."""
    if path is None:
        return {}
    with open(path) as lines:
        return {row["name"]: row for row in map(json.loads, lines)}


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--ours", required=True)
    options.add_argument("--cublaslt")
    options.add_argument("--seconds", type=float, default=0.5)
    options.add_argument("--no-compile", action="store_true")
    given = options.parse_args()
    kinds = ("eager",) if given.no_compile else ("eager", "compiled")
    torch.backends.cuda.matmul.allow_tf32 = True
    ours, served = rows_of(given.ours), rows_of(given.cublaslt)
    theirs = {}
    for name, kind, time in peers(list(ours), given.seconds, kinds):
        theirs.setdefault(name, {})[kind] = time

    print(f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, {torch.cuda.get_device_name()}; milliseconds")
    print(f"{'':52} {'ours':>9} {'TFLOP/s':>8} {'cuBLASLt':>9} {'PyTorch':>9} {'compiled':>9} {'PyTorch / ours':>15}")
    for name, row in ours.items():
        peer = theirs.get(name, {})
        best = min(peer.values(), default=None)
        cell = lambda value, digits: f"{value:.{digits}f}" if value else "-"
        print(
            f"{name:52} {row['milliseconds']:9.3f} {cell(row['gflops'] / 1e3, 0):>8} "
            f"{cell(served.get(name, {}).get('milliseconds'), 3):>9} {cell(peer.get('eager'), 3):>9} "
            f"{cell(peer.get('compiled'), 3):>9} {cell(best and best / row['milliseconds'], 2):>15}"
        )


if __name__ == "__main__":
    main()
