"""smollm2: SmolLM2-135M-Instruct as a deployment, made of the GGUF file in a pinned PyPI package."""
