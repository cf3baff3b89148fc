"""Described sounds from any source: opened, checked, captioned, packed."""

from openclap.data.captions import captions_of, choose, debiaser, template
from openclap.data.check import CheckReport, check
from openclap.data.items import Item, Manifest
from openclap.data.keyword_to_caption import KeywordToCaption
from openclap.data.manifest import open_manifest
from openclap.data.pack import PackReport, pack

__all__ = [
    "CheckReport",
    "Item",
    "KeywordToCaption",
    "Manifest",
    "PackReport",
    "captions_of",
    "check",
    "choose",
    "debiaser",
    "open_manifest",
    "pack",
    "template",
]
