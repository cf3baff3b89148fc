"""The gradient of a batch is one thing: from one process or two, direct or piece by piece, with weights copied or spread, in either loss."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from models_for_tests import small_config
from ranks_for_tests import run_ranks
from torch import nn

from openclap.models.clap import CLAPModel
from openclap.train.batch import Batch, PairLabels, positives_and_ignored
from openclap.train.distributed import Ranks, join_ranks, share_norms
from openclap.train.loss import sigmoid_loss
from openclap.train.settings import Augment
from openclap.train.sharding import clip_gradients, gather_whole, is_sharded, shard
from openclap.train.step import Step

CLIPS, TEXTS, FRAMES = 6, 8, 51
CLIPPED = 0.25  # the norm that gradients are clipped to where weights are spread over ranks
VOCABULARY = 30


def model_of(audio: str, fusion: str | None) -> CLAPModel:
    """In double precision, without dropout, so that nothing but the way it is computed can differ."""
    config = small_config(audio=audio, fusion=fusion)
    torch.manual_seed(0)
    model = CLAPModel(config).double()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if hasattr(module, "drop_path"):
            module.drop_path = 0.0  # type: ignore[assignment]
    return model.train()


def batch_of(config: Any, rows: slice | None = None) -> Batch:
    """The whole batch, or the part of one rank: its clips, their texts, and half of the others."""
    rng = np.random.default_rng(0)
    views = 4 if config.fusion is not None else 1
    mel = torch.from_numpy(rng.normal(-30, 10, (CLIPS, views, FRAMES, config.front_end.mel_bins)))
    longer = (
        torch.tensor([True, False, False, True, True, False]) if views == 4 else torch.zeros(CLIPS, dtype=torch.bool)
    )
    texts = [f"{i}" for i in range(TEXTS)]
    heard = torch.tensor([[0, -1], [1, -1], [2, 0], [0, -1], [3, -1], [4, 1]])
    said = torch.tensor([0, 1, 2, 0, 3, 4, 5, 1])
    mixed = torch.tensor([False, False, True, False, False, True, False, False])
    families = torch.tensor([[0], [0], [1], [-1], [2], [2]])
    none = torch.tensor([-1])
    chosen = list(range(CLIPS))
    spoken = list(range(TEXTS))
    if rows is not None:
        chosen = chosen[rows]
        spoken = [*chosen, 6 if chosen[0] == 0 else 7]
    meaning = PairLabels(
        heard[chosen], said[spoken], mixed[spoken],
        torch.where((heard[chosen] >= 0)[..., None], families[heard[chosen]], none), families[said[spoken]],
    )  # fmt: skip
    return Batch(mel[chosen], longer[chosen], [texts[i] for i in spoken], meaning)


def tokenize(texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.tensor([[(7 * int(t) + i) % VOCABULARY for i in range(4)] for t in texts])
    return ids, torch.ones_like(ids)


def gradients(
    audio: str,
    fusion: str | None,
    ranks: Ranks,
    *,
    pieces: int | None,
    sigmoid: bool,
    norms: str,
    rows: slice | None = None,
    spread: bool = False,
) -> dict[str, np.ndarray]:
    model = model_of(audio, fusion)
    if spread:
        shard(model, ranks.world)
    if norms == "frozen":
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.eval()
    elif ranks.world > 1:
        share_norms(model)
    bias = nn.Parameter(torch.tensor(-3.0, dtype=torch.float64)) if sigmoid else None
    step = Step(tokenize, Augment(), ranks, None, pieces, bias)
    loss = step.gradients(model, batch_of(model.config, rows), seed=5)
    parameters = [*model.parameters(), *([bias] if bias is not None else [])]
    ranks.average(p for p in parameters if not is_sharded(p))
    assert any(is_sharded(p) for p in parameters) == spread
    if spread:
        clip_gradients(parameters, CLIPPED)
    found = {name: gather_whole(p.grad).numpy() for name, p in model.named_parameters() if p.grad is not None}
    if bias is not None and bias.grad is not None:
        found["bias"] = bias.grad.numpy()
    running = {name: value.numpy() for name, value in model.named_buffers() if "running" in name}
    return {**found, **running, "loss": np.array(loss)}


def _rank(rank: int, folder: str, cases: list[tuple[Any, ...]]) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    with join_ranks(torch.device("cpu")) as ranks:
        assert (ranks.rank, ranks.world) == (rank, 2)
        rows = slice(0, 3) if rank == 0 else slice(3, 6)
        for i, (audio, fusion, options) in enumerate(cases):
            found = gradients(audio, fusion, ranks, rows=rows, **options)
            np.savez(Path(folder, f"{i}-{rank}.npz"), **found)  # type: ignore[arg-type]
    dist.destroy_process_group()


CASES: list[tuple[str, str | None, dict[str, Any]]] = [
    (audio, fusion, {"pieces": pieces, "sigmoid": sigmoid, "norms": norms})
    for audio, fusion in (("pann", "aff_2d"), ("htsat", "iaff_2d"), ("htsat", None))
    for pieces, norms in ((None, "shared"), (None, "frozen"), (2, "frozen"))
    for sigmoid in (False, True)
]
CASES += [(audio, fusion, {**options, "spread": True}) for audio, fusion, options in CASES if not options["sigmoid"]]


def test_two_processes_give_the_gradient_of_one(tmp_path: Path) -> None:
    ended = run_ranks(_rank, str(tmp_path), CASES)
    assert [rank.code for rank in ended] == [0, 0], ended
    expected_of: dict[tuple[Any, ...], dict[str, np.ndarray]] = {}
    for i, (audio, fusion, options) in enumerate(CASES):
        spread = options.get("spread", False)
        whole_batch = {**options, "pieces": None, "spread": False}  # in one piece, in one process
        key = (audio, fusion, *sorted(whole_batch.items(), key=str))
        if key not in expected_of:
            expected_of[key] = gradients(audio, fusion, Ranks(), **whole_batch)
        expected = expected_of[key]
        names = [name for name in expected if "running" not in name and name != "loss"]
        assert max(float(np.abs(expected[name]).max()) for name in names) > 1e-2
        norm = float(np.sqrt(sum((expected[name] ** 2).sum() for name in names)))
        assert norm > CLIPPED
        if spread:
            expected = expected | {name: expected[name] * CLIPPED / (norm + 1e-6) for name in names}
        for rank in range(2):
            part = np.load(tmp_path / f"{i}-{rank}.npz")
            assert set(part.files) == set(expected)
            for name, value in expected.items():
                assert np.allclose(part[name], value, rtol=0, atol=1e-10), (CASES[i], rank, name)


@pytest.mark.parametrize("audio", ["pann", "htsat"])
def test_pieces_give_the_gradient_of_the_whole(audio: str) -> None:
    options: dict[str, Any] = {"sigmoid": False, "norms": "frozen"}
    direct = gradients(audio, "aff_2d", Ranks(), pieces=None, **options)
    for pieces in (1, 2, 4, 6):
        part = gradients(audio, "aff_2d", Ranks(), pieces=pieces, **options)
        assert part.keys() == direct.keys()
        assert all(np.allclose(part[name], direct[name], rtol=0, atol=1e-9) for name in direct)


def test_pieces_draw_the_same_dropout_twice_and_leave_norms_counted_once() -> None:
    model = CLAPModel(small_config()).train()
    batch = batch_of(model.config)
    batch = replace(batch, mel=batch.mel.float())
    step = Step(tokenize, Augment(time_masks=1, time_mask_frames=9), pieces=4)
    losses, found = [], []
    for _ in range(2):
        again = CLAPModel(model.config).train()
        again.load_state_dict(model.state_dict())
        losses.append(step.gradients(again, batch, 3))
        found.append([p.grad.clone() for p in again.parameters() if p.grad is not None])
        counted = {int(m.num_batches_tracked) for m in again.modules() if isinstance(m, nn.BatchNorm2d) and m.num_batches_tracked is not None}  # fmt: skip
        assert max(counted) == 2  # pieces, each once
    assert losses[0] == losses[1]
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    other = CLAPModel(model.config).train()
    other.load_state_dict(model.state_dict())
    assert step.gradients(other, batch, 4) != losses[0]


def test_positives_by_hand() -> None:
    batch = batch_of(small_config())
    positives, ignored = positives_and_ignored(batch.labels)
    assert positives.tolist() == [
        [1, 0, 0, 1, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 1], [0.5, 0, 1, 0.5, 0, 0, 0, 0],
        [1, 0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0, 0], [0, 0.5, 0, 0, 0, 1, 0, 0.5],
    ]  # fmt: skip
    assert ignored[0].tolist() == [False, True, False, False, False, False, False, True]  # 0 and 1 are of one family
    assert ignored[5].tolist() == [True, False, False, True, False, False, True, False]


def test_sigmoid_loss_by_hand() -> None:
    audio, text = torch.eye(2), torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    logits = np.array([[1.0, 0.6], [0.0, 0.8]]) * 2.0 - 1.0
    right = np.eye(2)
    expected = -(right * np.log(1 / (1 + np.exp(-logits))) + (1 - right) * np.log(1 / (1 + np.exp(logits)))).sum() / 2
    found = sigmoid_loss(audio, text, torch.tensor(2.0).log(), torch.tensor(-1.0))
    assert float(found) == pytest.approx(float(expected), abs=1e-6)
