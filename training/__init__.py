"""Generators, training, export and evaluation of the starter models: see README.md. Never needed to serve."""

import inference  # noqa: F401  switches off what libraries report to their makers
