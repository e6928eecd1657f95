"""Declared means done: drives every parameter that a card declares and reports whether it takes effect."""
