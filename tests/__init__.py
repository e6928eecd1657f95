"""The test suite: `make test`. It mirrors the modules, runs offline and never sleeps."""

import inference  # noqa: F401  switches off what libraries report to their makers
