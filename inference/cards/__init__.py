"""Deployment cards: the `model.json` of a deployment as a typed, validated value."""
