"""Hosts that serve the app: Azure Functions and this machine."""
