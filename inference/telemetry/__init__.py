"""Request log, identifiers and outcomes."""
