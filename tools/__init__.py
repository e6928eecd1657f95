"""Commands of the repository: set-up, packaging, measurements. Nothing here is installed or deployed."""

import inference  # noqa: F401  switches off what libraries report to their makers
