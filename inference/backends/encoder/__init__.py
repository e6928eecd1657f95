"""The backends of ONNX encoders: text embeddings and text classification."""
