"""Measurements of models: each analysis is a function that returns a result, and keeps it as JSON for the report."""

from bertwright.analyze.initialization import initialization
from bertwright.analyze.similarity import similarity
from bertwright.analyze.sizes import sizes

__all__ = ["initialization", "similarity", "sizes"]
