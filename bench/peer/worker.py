"""Measures the peer for `npm run bench:vs-torch`, one line of JSON in, one out: see bench/worker.ts, its counterpart.

{"open": {...}} makes what is to be measured, {"run": true} runs it once and answers {"seconds": S, "evaluations": N}, with the
runs of the network a cell where that is no matter of course, else null.
"""
import json
import sys
import time
from contextlib import nullcontext

import torch

from model import Denoiser

FIRST_RANK, FIRST_GENE = 2, 3


class Subject:
    """The model and the random cells of a case; `run` does once what the case names."""

    def __init__(self, case):
        torch.set_num_threads(case["threads"])
        torch.manual_seed(0)
        self.case, self.vocabulary = case, case["vocabulary"]
        self.mask = self.vocabulary - 1
        shape = case["shape"]
        self.model = Denoiser(
            vocabulary=self.vocabulary,
            genes=case["genes"],
            width=shape["hidden"],
            blocks=shape["blocks"],
            heads=shape["heads"],
            condition_width=shape["condDim"],
            dropout=case["dropout"],
        )
        size = (case["batch"], case["length"])
        self.clean = torch.randint(FIRST_RANK, self.mask, size)
        self.genes = torch.randint(FIRST_GENE, case["genes"], size)
        self.still = torch.zeros(case["batch"])
        self.run = {"train step": self.train_step, "forward": self.forward, "inpaint": self.inpaint}[case["what"]]
        if case["what"] == "train step":
            self.model.train()
            self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=3e-4, weight_decay=0.0, fused=True)
        else:
            self.model.eval()
        self.network = torch.compile(self.model) if case["compile"] else self.model

    def logits(self, tokens):
        bf16 = self.case["dtype"] == "bf16"
        with torch.autocast("cpu", dtype=torch.bfloat16) if bf16 else nullcontext():
            return self.network(tokens, self.still[: len(tokens)], self.genes[: len(tokens)])

    def train_step(self):
        """Masking, forward, the bound with mean matching, backward, clipping, AdamW."""
        chance = torch.rand(self.case["batch"], 1) * 0.999 + 0.001
        masked = torch.rand(self.clean.shape) < chance
        logits = self.logits(torch.where(masked, self.mask, self.clean)).float()
        log_probabilities = logits[..., : self.mask].log_softmax(-1)
        loss = -log_probabilities.gather(-1, self.clean[..., None])[..., 0]
        ranks = torch.arange(FIRST_RANK, self.mask, dtype=torch.float32)
        mean = (logits[..., FIRST_RANK : self.mask].softmax(-1) * ranks).sum(-1)
        loss = loss + (mean - self.clean).abs() / (len(ranks) - 1)
        loss = (loss * masked / chance).mean()
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()

    @torch.no_grad()
    def forward(self):
        self.logits(self.clean)

    @torch.no_grad()
    def inpaint(self):
        """Half of each cell filled in by ancestral steps: the published loop, its answers kept while nothing changes."""
        tokens = torch.where(torch.rand(self.clean.shape) < 0.5, self.mask, self.clean)
        steps, probabilities, evaluations = self.case["samplingSteps"], None, 0
        for step in range(steps):
            before, after = (steps - step) / steps, (steps - step - 1) / steps
            if probabilities is None:
                probabilities = self.logits(tokens).float()[..., : self.mask].softmax(-1)
                evaluations += 1
            weights = torch.cat([probabilities * (before - after), torch.full_like(probabilities[..., :1], after)], -1)
            drawn = (weights / torch.empty_like(weights).exponential_()).argmax(-1)
            filled = torch.where(tokens == self.mask, drawn, tokens)
            if not torch.equal(filled, tokens):
                probabilities = None
            tokens = filled
        return evaluations


def answer(line):
    print(json.dumps(line), flush=True)


def serve():
    subject = None
    for request in map(json.loads, sys.stdin):
        try:
            if "open" in request:
                subject = None  # Gives its memory back first.
                subject = Subject(request["open"])
                answer({"peer": f"PyTorch {torch.__version__}"})
            else:
                start = time.perf_counter()
                evaluations = subject.run()
                answer({"seconds": time.perf_counter() - start, "evaluations": evaluations})
        except Exception as error:  # Whatever it is, the other side says it and ends.
            answer({"error": f"{type(error).__name__}: {error}".splitlines()[0]})


if __name__ == "__main__":
    serve()
