"""The HTTP service: what `openclap serve` runs."""
