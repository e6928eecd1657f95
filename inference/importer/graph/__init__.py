"""Decoders and encoders as ONNX graphs of our own, written from a checkpoint without PyTorch."""
