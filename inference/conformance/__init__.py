"""Conformance: every parameter that a card declares takes effect, and an endpoint does what it lists."""
