"""starter-embeddings: all-MiniLM-L6-v2 as one ONNX file, made at set-up from a pinned PyPI package."""
