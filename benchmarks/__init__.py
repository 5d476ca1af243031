"""What the library and its fake cost beside others: `make bench` measures, and writes docs/benchmarks.md."""
