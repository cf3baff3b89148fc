"""The towers, the fusion and the projections, in PyTorch. Knows nothing of files, waves or tokenizers."""
