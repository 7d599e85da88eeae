"""Package data: see xlir_bench.resources."""
