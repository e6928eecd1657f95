"""Deployments in a blob container: listed, fetched to local disk, kept there within a budget."""
