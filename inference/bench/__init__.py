"""Load on an endpoint, and what it bore."""
