"""How alike the vectors of translations are, language by language, layer by layer, encoder by encoder."""

from xlir_bench.alignment.report import (
    AlignedTexts,
    AlignmentReport,
    Between,
    Layer,
    Pair,
    Space,
    aligned_texts,
    report,
)

__all__ = ["AlignedTexts", "AlignmentReport", "Between", "Layer", "Pair", "Space", "aligned_texts", "report"]
