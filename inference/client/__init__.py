"""Asks an endpoint of this API for streamed chat answers: one elsewhere over HTTP, or this process's own
models."""
