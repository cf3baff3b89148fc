"""Swin transformer blocks: attention within windows of an image, every second block with the windows shifted.

Reference: arXiv 2103.14030 §3. Attention uses scaled_dot_product_attention, with the relative-position bias and the
mask of the shifted windows as one additive term.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openclap.config import ACTIVATIONS

__all__ = ["Merge", "SwinBlock", "initialise"]

NEVER = -100.0  # added to the scores of patches that are no neighbours in a shifted window


class QuickGELU(nn.Module):
    """OpenAI's approximation of GELU: x · sigmoid(1.702 x)."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to a tensor of any shape."""
        return x * torch.sigmoid(1.702 * x)


ACTIVATION_MODULES: dict[str, Callable[[], nn.Module]] = {
    "gelu": nn.GELU,
    "gelu_tanh": partial(nn.GELU, approximate="tanh"),
    "quick_gelu": QuickGELU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
}


class WindowAttention(nn.Module):
    """Multi-head attention among the patches of a window, with a learnt bias for each relative position."""

    position: Tensor
    mask: Tensor | None

    def __init__(
        self,
        width: int,
        heads: int,
        window: int,
        mask: Tensor | None,
        *,
        head_width: int | None = None,
        qkv_bias: bool = True,
    ) -> None:
        super().__init__()
        self.heads = heads
        inner = width if head_width is None else heads * head_width
        self.qkv = nn.Linear(width, 3 * inner, bias=qkv_bias)
        self.out = nn.Linear(inner, width)
        self.bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.bias_table, std=0.02)
        self.register_buffer("position", _relative_position(window), persistent=False)  # (L, L)
        self.register_buffer("mask", mask, persistent=False)  # (windows, 1, L, L) or None

    def forward(self, x: Tensor) -> Tensor:
        """(B * windows, L, D) → the same shape."""
        rows, tokens, _ = x.shape
        qkv = self.qkv(x).view(rows, tokens, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B * windows, H, L, D / H) each
        bias = self.bias_table[self.position].permute(2, 0, 1)[None]  # (1, H, L, L)
        if self.mask is not None:
            windows = len(self.mask)
            bias = (bias + self.mask).expand(rows // windows, windows, -1, -1, -1).flatten(0, 1)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        return self.out(x.transpose(1, 2).reshape(rows, tokens, -1))


class SwinBlock(nn.Module):
    """Window attention and MLP, each behind a layer norm and with a residual."""

    def __init__(
        self,
        width: int,
        side: int,
        heads: int,
        window: int,
        *,
        hidden: int,
        head_width: int | None = None,
        shifted: bool,
        drop_path: float,
        activation: str = "gelu",
        eps: float = 1e-5,
        qkv_bias: bool = True,
    ) -> None:
        super().__init__()
        self.side = side
        self.window = min(window, side)
        self.shift = window // 2 if shifted and side > window else 0
        self.drop_path = drop_path
        mask = _shift_mask(side, self.window, self.shift) if self.shift else None
        self.norm1 = nn.LayerNorm(width, eps)
        self.attention = WindowAttention(width, heads, self.window, mask, head_width=head_width, qkv_bias=qkv_bias)
        self.norm2 = nn.LayerNorm(width, eps)
        act = ACTIVATION_MODULES[ACTIVATIONS[activation]]()
        self.mlp = nn.Sequential(nn.Linear(width, hidden), act, nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, side * side, D) → the same shape."""
        x = x + self._drop_path(self._attend(self.norm1(x)))
        return x + self._drop_path(self.mlp(self.norm2(x)))

    def _attend(self, x: Tensor) -> Tensor:
        batch, _, width = x.shape
        side, w, shift = self.side, self.window, self.shift
        n = side // w  # windows a row
        x = x.view(batch, side, side, width)
        if shift:
            x = torch.roll(x, (-shift, -shift), (1, 2))
        x = x.view(batch, n, w, n, w, width).transpose(2, 3).reshape(-1, w * w, width)  # (B * windows, L, D)
        x = self.attention(x).view(batch, n, n, w, w, width)
        x = x.transpose(2, 3).reshape(batch, side, side, width)
        if shift:
            x = torch.roll(x, (shift, shift), (1, 2))
        return x.reshape(batch, -1, width)

    def _drop_path(self, x: Tensor) -> Tensor:
        """Stochastic depth: in training some rows skip the whole branch."""
        if not self.training or self.drop_path == 0:
            return x
        keep = 1 - self.drop_path
        return x * torch.empty(len(x), 1, 1, device=x.device, dtype=x.dtype).bernoulli_(keep) / keep


class Merge(nn.Module):
    """Merges four neighbouring patches into one of twice the width."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.norm = nn.LayerNorm(4 * width)
        self.reduce = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, side * side, D) → (B, side * side / 4, 2 D)."""
        batch, _, width = x.shape
        half = self.side // 2
        x = x.view(batch, half, 2, half, 2, width)  # (B, rows, odd row, columns, odd column, D)
        x = x.permute(0, 1, 3, 4, 2, 5).reshape(batch, -1, 4 * width)  # even-even, odd-even, even-odd, odd-odd
        return self.reduce(self.norm(x))


def initialise(module: nn.Module) -> None:
    """Initialise a linear layer as swin transformers do; bias tables initialise themselves."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _relative_position(window: int) -> Tensor:
    """The row of the bias table for every pair of patches of a window, (L, L)."""
    row, column = torch.arange(window * window) // window, torch.arange(window * window) % window
    down = row[:, None] - row[None] + window - 1
    right = column[:, None] - column[None] + window - 1
    return down * (2 * window - 1) + right


def _shift_mask(side: int, window: int, shift: int) -> Tensor:
    """The mask (windows, 1, L, L): 0 for pairs of patches that were neighbours before the roll, NEVER for others."""
    band = torch.zeros(side, dtype=torch.long)
    band[-window:-shift] = 1
    band[-shift:] = 2
    n = side // window
    region = (3 * band[:, None] + band[None]).view(n, window, n, window).transpose(1, 2).reshape(n * n, -1)
    return torch.where(region[:, None, :, None] == region[:, None, None, :], 0.0, NEVER)
