"""Text embeddings and classification with an ONNX encoder."""
