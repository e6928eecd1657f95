"""ONNX graphs of encoders and decoders, written from numpy weights with onnx alone."""
