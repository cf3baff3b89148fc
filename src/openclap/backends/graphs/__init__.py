"""The towers as OpenVINO graphs, written straight over the arrays of a checkpoint: no torch, no export, no conversion.

Layouts are tokens (B, N, D) wherever they can be, so that a 1 x 1 convolution is a product and nothing is transposed.
The same towers as in `openclap.models`; a test holds the two equal.
"""
