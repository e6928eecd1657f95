"""Requests to what the engine runs: chat templates, tokenizers, sampling and constraints on the output."""
