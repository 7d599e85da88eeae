"""Cross-lingual retrieval, measured: any text encoder in the monolingual, cross-lingual and multilingual settings."""

__version__ = "0.1.0"
