"""Responses that are kept, so that a later request can continue, fetch or delete them."""
