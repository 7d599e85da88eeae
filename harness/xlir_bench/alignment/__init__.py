"""How alike the vectors of translations are, language by language, layer by layer, encoder by encoder."""

from xlir_bench.alignment.report import AlignedTexts, Between, Layer, Pair, Report, Space, aligned_texts, report

__all__ = ["AlignedTexts", "Between", "Layer", "Pair", "Report", "Space", "aligned_texts", "report"]
