"""Scripts that make the starter deployments: data, training, export, evaluation. Never needed to serve."""
