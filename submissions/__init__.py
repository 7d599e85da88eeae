"""Encoders: one folder each, with manifest, card, results and, for the bundled one, weights. Data only."""
