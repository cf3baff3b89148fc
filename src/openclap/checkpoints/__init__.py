"""Checkpoints: where they are, how they are read, checked and written. The floor that knows other people's formats."""
