"""Data sets of described sounds: a folder, a table, tars or a `datasets.Dataset` go in; items and checks come out."""

from openclap.data.check import CheckReport, check
from openclap.data.items import Item, Manifest, make_captions
from openclap.data.keyword_to_caption import KeywordToCaption
from openclap.data.manifest import open_manifest
from openclap.data.pack import PackReport, pack
from openclap.sentences import caption_from_labels, make_debiaser

__all__ = [
    "CheckReport",
    "Item",
    "KeywordToCaption",
    "Manifest",
    "PackReport",
    "caption_from_labels",
    "check",
    "make_captions",
    "make_debiaser",
    "open_manifest",
    "pack",
]
