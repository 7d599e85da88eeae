"""Training a two-path encoder: an English encoder's body learns to read many languages, then hybrid batches.

The lexical path is a static encoder (`training.static`) and stays as it is. The contextual path is the transformer of
an English sentence encoder, the teacher, with the static encoder's vocabulary in place of its own:

1. start (`start`): a piece's vector is a weighted mean of the teacher's word vectors for the English words that stand
   nearest to it in the static space, so that the body reads a foreign word as its translation;
2. distillation (`distil`; Reimers and Gurevych, arXiv 2004.09813): the vector of a text in any language moves towards
   the teacher's vector of its English version;
3. hybrid batches (`hybrid`; arXiv 2408.10536): X-X and X-Y batches on the cosine of both paths together.

`python -m xlir_bench.training.student RECIPE --data DIR --teacher FOLDER --output FOLDER` does all three.
"""
