"""xlir-bench inside other libraries: an evaluator for sentence-transformers' trainer, and tasks for mteb."""
