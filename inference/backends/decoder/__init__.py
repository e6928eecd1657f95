"""Text generation by an ONNX decoder: its graph, the cache that the graph asks for, and its runs."""
