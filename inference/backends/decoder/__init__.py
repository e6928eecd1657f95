"""Text generation with an ONNX decoder."""
