"""Dyadic networks as scikit-learn estimators, for pipelines, grid searches and comparisons.

Requires scikit-learn (``pip install 'dyadnet[sklearn]'``). Everything runs in this process, on the local engine.
"""

try:
    from sklearn.utils.validation import validate_data as validate_data
except ImportError as problem:
    raise ImportError("dyadnet.sklearn needs scikit-learn 1.6 or newer: pip install 'dyadnet[sklearn]'") from problem

from dyadnet.sklearn.classifier import DyadicClassifier
from dyadnet.sklearn.parameters import NOT_TAKEN
from dyadnet.sklearn.regressor import DyadicRegressor

__all__ = ["NOT_TAKEN", "DyadicClassifier", "DyadicRegressor"]
