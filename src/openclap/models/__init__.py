"""The towers, the fusion and the projections, in PyTorch."""
