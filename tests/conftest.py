"""What every test shares: no network, one rule for randomness."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub is imported: no test may reach a network
os.environ["TOKENIZERS_PARALLELISM"] = "false"
