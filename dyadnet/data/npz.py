"""Users' own data in an ``.npz`` file: ``x``, ``y``, and optionally ``x_test`` and ``y_test``, or other common names.

``y`` holds classes (whole numbers) or numbers (floats, or bytes of images); see `dyadnet.data.own`.
"""

from __future__ import annotations

from pathlib import Path

from dyadnet.data.dataset import Dataset
from dyadnet.data.own import dataset
from dyadnet.errors import DataError
from dyadnet.files.arrays import Archive, ArraysError

NAMES = (
    ("x", "y", "x_test", "y_test"),
    ("X", "y", "X_test", "y_test"),
    ("x_train", "y_train", "x_test", "y_test"),
    ("X_train", "y_train", "X_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
)
"""Names of training and test samples and targets: those of dyadnet, scikit-learn, Keras and MedMNIST."""


def load(path: Path, dtype: str = "float64") -> Dataset:
    """Read a file. Bytes are scaled by 1/255, floats are used unchanged. Arrays of other names are ignored.

    Parameters
    ----------
    dtype
        Type in which the run computes. Numbers must be finite in it.

    Raises
    ------
    DataError
        If the file, an array or a value in it cannot be used.
    """
    try:
        with Archive(path) as archive:
            x, y, x_test, y_test = _names(path, archive.names)
            tested = x_test in archive.names
            if tested != (y_test in archive.names):
                raise DataError(f"{path}: {x_test} and {y_test} go together; give both or neither")
            found = archive.read([x, y, x_test, y_test] if tested else [x, y])
    except FileNotFoundError:
        raise DataError(f"{path}: not found; if it is elsewhere now, name its folder by --data-dir") from None
    except OSError as problem:
        raise DataError(f"{path}: it cannot be read ({problem.strerror}); check --data") from None
    except ArraysError as problem:
        raise DataError(f"{path}: {problem}; write x and y with numpy.savez") from None
    test = ((x_test, found[x_test]), (y_test, found[y_test])) if tested else None
    return dataset(str(path), path.stem, (x, found[x]), (y, found[y]), test, dtype)


def _names(path: Path, there: tuple[str, ...]) -> tuple[str, str, str, str]:
    fitting = [names for names in NAMES if names[0] in there and names[1] in there]
    if len(fitting) > 1:
        pairs = " or ".join(f"{names[0]}, {names[1]}" for names in fitting)
        raise DataError(f"{path}: it could be {pairs} that is meant; keep one of them")
    # The error about missing arrays uses the set of names that matches partly.
    begun = [names for names in NAMES if names[0] in there or names[1] in there]
    return (fitting or begun or NAMES)[0]
