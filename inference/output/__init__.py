"""Tokens become what the caller sees: a chain of small transforms over `contracts.Event`."""
