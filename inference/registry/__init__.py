"""Deployments by name, and the pool of models that are open."""
