"""Scripts that make the starter deployments: data, training, export, evaluation. Never needed to serve."""

import inference  # noqa: F401  switches off what libraries report to their makers
