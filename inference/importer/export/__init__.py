"""From a checkpoint in PyTorch's form to a deployment, by the public exporters.

They run in environments of their own, made when first needed and never when serving, as separate processes
that are told to ask no hub, and see safetensors and descriptions only: no pickles, no code that comes with
a model.
"""
