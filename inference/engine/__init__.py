"""Tokens to tokens, many sequences at once; knows nothing of HTTP, text or safety."""
