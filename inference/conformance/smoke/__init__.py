"""`python -m inference smoke URL --key K`: asks a running endpoint all that it says it serves, and what it
must refuse. It is asked as any client would ask it, and nothing is known of it but what `/models` says."""

from inference.conformance.smoke.checks import SmokeCheck, SmokeTarget, smoke, table

__all__ = ["SmokeCheck", "SmokeTarget", "smoke", "table"]
