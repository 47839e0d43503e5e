"""The denoiser in plain PyTorch, as one would write it there: what `npm run bench:vs-torch` compares with.

Cells stand in a padded batch: B cells of L tokens, D wide, H heads, V rank tokens of which the mask is the last. Parameters have
the published names, so that published weights load.
"""
import math

import torch
from torch import nn
from torch.nn import functional as F


class Table(nn.Module):
    """Rows of an embedding."""

    def __init__(self, rows, width):
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(rows, width) * 0.02)

    def forward(self, index):
        return F.embedding(index, self.embedding)


class Norm(nn.Module):
    """Layer norm with a gain and no bias, in float32."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return F.layer_norm(x.float(), x.shape[-1:]).to(x.dtype) * self.weight


class TimeEmbedding(nn.Module):
    """Noise level [B] -> [B, width], by 128 cosines and sines."""

    def __init__(self, width):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, sigma):
        rates = torch.exp(-math.log(10000) * torch.arange(128, device=sigma.device) / 128)
        angles = sigma[:, None].float() * rates
        return self.mlp(torch.cat([angles.cos(), angles.sin()], -1))


def rotate(x, cosine, sine):
    """Rotary positions on [B, L, H, D / H]: first half against second half."""
    first, second = x.chunk(2, -1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], -1)


class Block(nn.Module):
    """A DiT block: attention and MLP, each modulated and gated by the noise level (adaLN)."""

    def __init__(self, width, heads, condition_width, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm1, self.norm2 = Norm(width), Norm(width)
        self.attn_qkv = nn.Linear(width, 3 * width, bias=False)
        self.attn_out = nn.Linear(width, width, bias=False)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width))
        self.adaLN_modulation = nn.Linear(condition_width, 6 * width)

    def attend(self, h, cosine, sine):
        """[B, L, D] -> attention's result [B, H, L, D / H]."""
        b, n, d = h.shape
        q, k, v = self.attn_qkv(h).view(b, n, 3, self.heads, d // self.heads).unbind(2)
        cosine, sine = cosine.to(q.dtype), sine.to(q.dtype)
        q, k = rotate(q, cosine, sine), rotate(k, cosine, sine)
        return F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))

    def forward(self, x, condition, *where):
        """`where`: what `attend` is told besides."""
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(condition)[:, None].chunk(6, 2)
        h = self.attend(self.norm1(x) * (1 + scale1) + shift1, *where)
        h = self.attn_out(h.transpose(1, 2).reshape(x.shape))
        x = x + gate1 * F.dropout(h, self.dropout, self.training)
        h = self.mlp(self.norm2(x) * (1 + scale2) + shift2)
        return x + gate2 * F.dropout(h, self.dropout, self.training)


class Head(nn.Module):
    def __init__(self, width, vocabulary, condition_width):
        super().__init__()
        self.norm_final = Norm(width)
        self.linear = nn.Linear(width, vocabulary)
        self.adaLN_modulation = nn.Linear(condition_width, 2 * width)

    def forward(self, x, condition):
        shift, scale = self.adaLN_modulation(condition)[:, None].chunk(2, 2)
        return self.linear(self.norm_final(x) * (1 + scale) + shift)


class Denoiser(nn.Module):
    """Rank tokens [B, L], noise level [B] (as the model is told it) and gene ids [B, L] -> logits [B, L, V]."""

    def __init__(self, *, vocabulary, genes, width, blocks, heads, condition_width, dropout):
        super().__init__()
        self.head_width = width // heads
        self.vocab_embed, self.cond_embed = Table(vocabulary, width), Table(genes, width)
        self.sigma_map = TimeEmbedding(condition_width)
        self.blocks = nn.ModuleList(Block(width, heads, condition_width, dropout) for _ in range(blocks))
        self.output_layer = Head(width, vocabulary, condition_width)

    def forward(self, tokens, sigma, genes):
        x = self.vocab_embed(tokens) + self.cond_embed(genes)
        condition = F.silu(self.sigma_map(sigma))
        rates = 10000 ** (-torch.arange(0, self.head_width, 2, device=x.device).float() / self.head_width)
        angles = torch.arange(tokens.shape[1], device=x.device).float()[:, None] * rates
        cosine, sine = angles.cos()[None, :, None], angles.sin()[None, :, None]
        for block in self.blocks:
            x = block(x, condition, cosine, sine)
        return self.output_layer(x, condition)
