"""The texts that describe each concept: captions, phrases and templates, and the families of concepts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from openclap.train.examples import Example
from openclap.train.settings import Settings
from openclap.train.text_files import read_families, read_phrases

__all__ = ["Captions"]


class Captions:
    """Draws a text for a concept: one of its captions or phrases, sometimes inside a template."""

    def __init__(self, examples: Sequence[Example], settings: Settings) -> None:
        phrases = read_phrases([settings.resolve(p) for p in settings.phrases])
        self._texts: dict[str, list[str]] = {concept: list(texts) for concept, texts in phrases.items()}
        self._own_texts: dict[str, list[str]] = {}
        for example in examples:
            for texts in (self._texts.setdefault(example.concept, []), self._own_texts.setdefault(example.concept, [])):
                texts += [c for c in example.captions if c not in texts]
        self.concepts: list[str] = sorted(self._texts)
        self._numbers = {concept: number for number, concept in enumerate(self.concepts)}
        families = settings.families
        self._families = {} if families is None else read_families(settings.resolve(families))
        self._templates = settings.templates
        self._share = settings.template_share
        self._own_share = settings.own_share

    def draw(self, concept: str, rng: np.random.Generator) -> str:
        """Draw one text for `concept`."""
        own = self._own_texts.get(concept) if self._own_share and rng.random() < self._own_share else None
        text = str(rng.choice(own or self._texts[concept]))
        return str(rng.choice(self._templates)).replace("{}", text) if rng.random() < self._share else text

    def number_of(self, concept: str) -> int:
        """The number of a concept, which is the same in every process."""
        return self._numbers[concept]

    @cached_property
    def families(self) -> Tensor:
        """The numbers of the families of each concept (concepts, K); -1 fills the rows of those with fewer families."""
        names = sorted(set().union(*self._families.values())) if self._families else []
        most = max(map(len, self._families.values()), default=1)
        table = torch.full((len(self.concepts), most), -1)
        for concept, own in self._families.items():
            if concept in self._numbers:
                table[self._numbers[concept], : len(own)] = torch.tensor(sorted(names.index(name) for name in own))
        return table
