"""What the benchmarks measure with; the measurements themselves are no tests."""
