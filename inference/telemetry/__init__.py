"""Telemetry: the request log."""
