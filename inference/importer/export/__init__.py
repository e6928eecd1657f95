"""Export of PyTorch checkpoints to ONNX by public exporters, for `models convert`.

The exporters run as separate processes in environments of their own, which are made when first needed and
never while serving. They are kept offline and see safetensors and descriptions only: no pickles, and no code
that comes with a model.
"""
