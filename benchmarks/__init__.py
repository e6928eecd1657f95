"""Side-by-side measurements of the goals: `python -m benchmarks [NAME ...]`."""

import inference  # noqa: F401  switches off what libraries report to their makers
