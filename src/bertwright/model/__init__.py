"""Encoders and the heads that sit on them. The model knows nothing of data, optimizers, tasks, devices or files.

Shapes, here and in all tensor code of the project: B rows of a batch, L length of a row, D width, H attention heads,
V vocabulary, N masked positions, S sequences (several may share a row), C classes.
"""
