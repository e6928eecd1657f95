"""Deployments in blob containers: listed, fetched to the local disk, kept there within a budget."""
