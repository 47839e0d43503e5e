"""The count model in plain PyTorch, as one would write it there for cells of equal length, what `bench/gpu.sh` compares with.

Cells stand in a batch [B, L]: the cls row and evidence first, `keys` rows that all attend to, then queries. The base is a
negative binomial whose mean a cell's state tilts and whose size it moves, gene by gene.
"""
import torch
from torch import nn
from torch.nn import functional as F

from model import Block, Head, Table, TimeEmbedding


class CountBlock(Block):
    """A block without rotary positions, whose rows attend to the first `keys` alone."""

    def attend(self, h, keys):
        b, _, d = h.shape
        heads = lambda rows, parts: rows.view(b, -1, parts, self.heads, d // self.heads).transpose(1, 3).unbind(2)
        (q,) = heads(F.linear(h, self.attn_qkv.weight[:d]), 1)
        k, v = heads(F.linear(h[:, :keys], self.attn_qkv.weight[d:]), 2)
        return F.scaled_dot_product_attention(q, k, v)


class CountDenoiser(nn.Module):
    """Cells -> logits [B, Q, values], tilt [B, Q] and log size [B, Q] of their queries."""

    def __init__(self, *, values, genes, width, blocks, heads, condition_width, dropout, state, summary):
        super().__init__()
        self.values, self.dropout, self.state = values, dropout, state
        self.vocab_embed, self.cond_embed = Table(values + 3, width), Table(genes, width)
        self.maps = nn.ModuleList(TimeEmbedding(condition_width) for _ in range(4))
        self.blocks = nn.ModuleList(CountBlock(width, heads, condition_width, dropout) for _ in range(blocks))
        self.output_layer = Head(width, values + 3, condition_width)
        self.cell_state = nn.Linear(width, state)
        self.of_summary = nn.Sequential(nn.Linear(summary, width), nn.GELU("tanh"), nn.Linear(width, state))
        self.factor, self.size_factor, self.log_size = Table(genes, state), Table(genes, state), Table(genes, 1)

    def forward(self, tokens, genes, told, summary, keys):
        x = self.vocab_embed(tokens) + self.cond_embed(genes)
        condition = F.silu(sum(of(number) for of, number in zip(self.maps, told)))
        for block in self.blocks:
            x = block(x, condition, keys)
        z = self.cell_state(F.layer_norm(x[:, 0].float(), x.shape[-1:]))
        z = z + F.dropout(summary[:, : self.state] + self.of_summary(summary), self.dropout, self.training)
        asked = genes[:, keys:]
        by_gene = lambda table: (table(asked) * z[:, None].float()).sum(-1)
        log_size = self.log_size(asked)[..., 0] + by_gene(self.size_factor)
        logits = self.output_layer(x[:, keys:], condition)[..., 2 : 2 + self.values]
        return logits, by_gene(self.factor), log_size


def log_probs(logits, tilt, log_size, mean, middle, fixed):
    """log p [B, Q, values]: the network's logits plus the negative binomial's; middle and fixed (log width less lgamma of
    the middle plus 1) of values, in float64, as in ours."""
    m = (mean.double() * tilt.double().clamp(-6, 6).exp()).clamp(min=1e-8)[..., None]
    r = log_size.double().exp().clamp(0.01, 100)[..., None]
    base = torch.lgamma(middle + r) - torch.lgamma(r) + fixed - r * torch.log1p(m / r) - middle * torch.log1p(r / m)
    return F.log_softmax(logits.float() + base.float(), -1)
