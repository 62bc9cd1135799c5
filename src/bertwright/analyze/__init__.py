"""Measurements of models: each analysis is a function that returns a result, and keeps it as JSON for the report."""

from bertwright.analyze.alignment import alignment
from bertwright.analyze.context import context
from bertwright.analyze.domains import domains
from bertwright.analyze.embeddings import embeddings
from bertwright.analyze.initialization import initialization
from bertwright.analyze.labelled import LabelledFile
from bertwright.analyze.probes import probes
from bertwright.analyze.reconstruction import reconstruction
from bertwright.analyze.shift import shift
from bertwright.analyze.similarity import similarity
from bertwright.analyze.sizes import sizes
from bertwright.analyze.trainings import Trainings
from bertwright.analyze.transfer import transfer

__all__ = [
    "LabelledFile",
    "Trainings",
    "alignment",
    "context",
    "domains",
    "embeddings",
    "initialization",
    "probes",
    "reconstruction",
    "shift",
    "similarity",
    "sizes",
    "transfer",
]
