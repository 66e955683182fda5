"""Dyadic networks as a scikit-learn classifier, for pipelines, grid searches and comparisons.

Needs scikit-learn (``pip install 'dyadnet[sklearn]'``). Everything runs in this process, on the local engine.
"""

from dyadnet.sklearn.classifier import DyadicClassifier
from dyadnet.sklearn.parameters import NOT_TAKEN

__all__ = ["NOT_TAKEN", "DyadicClassifier"]
