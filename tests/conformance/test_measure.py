"""Measurements of a process's memory; the rates are tested by test_check."""

import pytest

from inference.conformance.azure_plans import MIB
from inference.conformance.measure import peak
from inference.registry.memory_estimate import resident


@pytest.mark.skipif(resident() is None, reason="no /proc")
def test_memory_is_that_of_the_process() -> None:
    before = peak() or 0
    block = bytearray(64 * MIB)
    block[::4096] = b"x" * len(block[::4096])
    assert (peak() or 0) >= before
    assert (peak() or 0) >= (resident() or 0) - MIB
    assert (resident() or 0) > 64 * MIB
