"""Writes test/fixtures/checkpoints: small checkpoints as PyTorch, Lightning and OmegaConf write them, and what they hold.

    python3 -m venv .venv && .venv/bin/pip install torch==2.13.0 numpy safetensors omegaconf
    .venv/bin/python scripts/make_checkpoint_fixtures.py REFERENCE test/fixtures/checkpoints

REFERENCE is the folder of ddsc_torch.py, the published model in plain PyTorch. Beside each checkpoint, NAME.safetensors has its
tensors as float32: `weights.*` and, where there is a moving average, `ema.*`; forward.safetensors has inputs and logits of lightning.ckpt.
"""
import json
import sys
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file

sys.path.insert(0, sys.argv[1])
import ddsc_torch as R  # noqa: E402

OUT = Path(sys.argv[2])
GENES = ["<pad>", "<cls>", "<eoc>", "ENSG00000000003", "ENSG00000000005", "ENSG00000000419", "ENSG00000000457"]
SHAPE = R.Config(vocab_size=8, gene_vocab_size=9, hidden=8, blocks=2, heads=2, cond_dim=4, time_conditioning=True)


def backbone(seed, c=SHAPE):
    torch.manual_seed(seed)
    m = R.Denoiser(c).eval()
    for p in m.parameters():  # the zero-initialised layers too, or the logits are zeros
        if p.abs().sum() == 0:
            torch.nn.init.normal_(p, std=0.1)
    return m


class Original(torch.nn.Module):
    """The names of the published Lightning module: backbone, noise, a buffer of the rotary embedding, a metric."""

    def __init__(self, seed):
        super().__init__()
        self.backbone = backbone(seed)
        self.backbone.register_buffer("rotary_inv_freq", torch.ones(2))
        self.noise = torch.nn.Module()
        self.noise.register_buffer("sigma_max", torch.tensor(6.9))


def expect(name, weights, ema=None):
    tensors = {f"weights.{k}": v.detach().float().clone().contiguous() for k, v in weights.items()}
    for k, v in (ema or {}).items():
        tensors[f"ema.{k}"] = v.detach().float().clone().contiguous()
    save_file(tensors, OUT / f"{name}.safetensors")


def parameters(m):
    return OrderedDict((k, p.detach().clone()) for k, p in m.named_parameters())


def lightning():
    m = Original(1)
    optimizer = torch.optim.AdamW(m.backbone.blocks.parameters(), lr=3e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    tokens, genes = torch.randint(2, 7, (2, 5)), torch.randint(3, 7, (2, 5))
    sigma = torch.tensor([0.3, 1.7])
    m.backbone(tokens, sigma, genes).square().sum().backward()
    optimizer.step()
    schedule.step()
    shadow = [p.detach() * 0.5 + 0.25 for p in m.backbone.parameters()]
    config = OmegaConf.create({
        "seed": 1, "parameterization": "subs", "time_conditioning": True, "T": 0,
        "training": {"ema": 0.9999, "antithetic_sampling": True, "importance_sampling": False,
                     "sampling_eps": 1e-3, "change_of_variables": False},
        "noise": {"type": "geometric", "sigma_min": 1e-3, "sigma_max": 7.0},
        "model": {"type": "ddit", "hidden_size": 8, "cond_dim": 4, "length": 64, "n_blocks": 2, "n_heads": 2,
                  "dropout": 0.25, "name": "${seed}"},
        "gpus": [0, 1],
    })
    checkpoint = {
        "epoch": 3, "global_step": 1200, "pytorch-lightning_version": "2.6.6",
        "state_dict": m.state_dict(),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 4, "completed": 3}}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'val/nll'}": {
            "monitor": "val/nll", "best_model_score": torch.tensor(1.25), "dirpath": "checkpoints",
            "best_k_models": {"best.ckpt": torch.tensor(1.25)}, "score": np.float64(1.25)}},
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [schedule.state_dict()],
        "hparams_name": "kwargs",
        "hyper_parameters": {"config": config, "size": torch.Size([2, 3]), "device": torch.device("cpu"),
                             "dtype": torch.bfloat16, "path": Path("data")},
        "ema": {"decay": 0.9999, "num_updates": 1200, "shadow_params": shadow},
        "sampler": {"random_state": None, "counter": 0},
    }
    torch.save(checkpoint, OUT / "lightning.ckpt")
    names = [k for k, _ in m.backbone.named_parameters()]
    ema = dict(zip(names, shadow))
    expect("lightning", parameters(m.backbone), ema)

    with torch.no_grad():
        logits = m.backbone(tokens, sigma, genes)
        averaged = backbone(1)
        averaged.load_state_dict(ema)
        ema_logits = averaged(tokens, sigma, genes)
    save_file({"in.tokens": tokens.int(), "in.genes": genes.int(), "in.sigma": sigma,
               "out.logits": logits.contiguous(), "out.ema_logits": ema_logits.contiguous()},
              OUT / "forward.safetensors")


def averaging():
    """Lightning's WeightAveraging: the average is the state dict, the weights are beside it; options as a Namespace."""
    m, average = Original(2).to(torch.bfloat16), Original(3).to(torch.bfloat16)
    torch.save({
        "state_dict": average.state_dict(), "current_model_state": m.state_dict(),
        "averaging_state": {"n_averaged": torch.tensor(7)},
        "hyper_parameters": {"args": 1}, "config": Namespace(heads=2, noise="cosinesqr", parameterization="sedd"),
    }, OUT / "averaging.ckpt")
    expect("averaging", parameters(m.backbone), parameters(average.backbone))


def others():
    m = backbone(4)
    torch.save(m.state_dict(), OUT / "bare.pt")
    expect("bare", m.state_dict())
    torch.save(m.state_dict(), OUT / "protocol4.pt", pickle_protocol=4)
    half = {f"model.backbone.{k}": v.half() for k, v in m.state_dict().items()}
    torch.save(half, OUT / "half.bin")
    expect("half", {k.removeprefix("model.backbone."): v for k, v in half.items()})
    double = {k: v.double() / 3 for k, v in m.state_dict().items()}
    torch.save({"model_state_dict": double, "ema_state_dict": {k: v * 2 for k, v in double.items()}}, OUT / "double.pt")
    expect("double", double, {k: v * 2 for k, v in double.items()})
    torch.save({"backbone." + k: v for k, v in list(m.state_dict().items())[:1]}, OUT / "legacy.pt",
               _use_new_zipfile_serialization=False)


def strided():
    """All tensors views of one storage, matrices transposed in it, two gains tied; a moving average that lists these once."""
    m = backbone(5)
    state = m.state_dict()
    tied = ["blocks.0.norm1.weight", "blocks.0.norm2.weight"]
    state[tied[1]] = state[tied[0]] = torch.rand(8)
    flat = torch.zeros(3 + sum(v.numel() for v in state.values()))
    views, at = OrderedDict(), 3
    for k, v in state.items():
        view = flat[at:at + v.numel()]
        at += v.numel()
        views[k] = view.view(*reversed(v.shape)).T if v.dim() == 2 else view.view(v.shape)
        views[k].copy_(v)
    views[tied[1]] = views[tied[0]]
    views["blocks.1.norm1.weight"] = torch.rand(16)[::2]
    views = OrderedDict((k, torch.nn.Parameter(v)) for k, v in views.items())
    shadow = {k: v.detach() + 1 for k, v in views.items()}
    torch.save({"state_dict": views,
                "ema": {"shadow_params": [v for k, v in shadow.items() if k != tied[1]]}}, OUT / "strided.pt")
    expect("strided", views, shadow)


OUT.mkdir(parents=True, exist_ok=True)
lightning()
averaging()
others()
strided()
(OUT / "vocabulary.json").write_text(json.dumps({gene: i for i, gene in enumerate(GENES)}) + "\n")
