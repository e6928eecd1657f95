"""GGUF files, in which llama.cpp keeps models: their header, and their tensors as weights of a graph."""
