"""Image embeddings with an ONNX vision encoder."""
