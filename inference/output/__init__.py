"""Stages from tokens to the text and calls a caller sees: a chain of transforms over `contracts.Event`."""
