"""xlir-bench with other libraries: an evaluator for sentence-transformers, tasks for mteb, BEIR's measures."""
