"""The graphs of `openclap.backends.graphs` as ONNX: translated, not defined again, and run by ONNX Runtime."""
