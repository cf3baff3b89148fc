"""The model in PyTorch: mels and token ids in, unit vectors out."""
