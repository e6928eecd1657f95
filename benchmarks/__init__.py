"""Side-by-side measurements of the goals: `python -m benchmarks [NAME ...]`."""
