"""Training encoders with hybrid batches: parallel data, batch sampling, the bundled static encoder.

`python -m xlir_bench.training.static --data DIR --output FOLDER` trains the encoder that is shipped.
"""
