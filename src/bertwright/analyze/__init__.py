"""Measurements of models: each analysis is a function that returns a result, and keeps it as JSON for the report."""

from bertwright.analyze.initialization import initialization

__all__ = ["initialization"]
