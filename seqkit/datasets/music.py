"""Reads the catalogue's sets of music."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from seqkit.datasets.catalogue import check_name_and_split
from seqkit.datasets.fetch import find, stored_file

if TYPE_CHECKING:
    import numpy as np

_MAT = {"train": "traindata", "dev": "validdata", "test": "testdata"}
_JSON = {"train": "train", "dev": "valid", "test": "test"}


def load_music(name: str, split: str = "train") -> list[np.ndarray]:
    """Read the pieces of a public set of music.

    Parameters
    ----------
    name : {"poly_music", "jsb_chorales_json"}
        Name in the catalogue.
    split : {"train", "dev", "test"}, default="train"
        Part of the set.

    Returns
    -------
    list of ndarray
        ``poly_music``: for each chorale int8 (quarters, 88), 1 where a key is down; the first key is MIDI pitch 21.
        ``jsb_chorales_json``: int16 (sixteenths, 4), the pitches of soprano, alto, tenor and bass, -1 for silence.

    Raises
    ------
    ParameterError
        If there is no such set or split.
    DataError
        If the data is not here and cannot be downloaded.
    """
    other = "That set is of another kind."
    check_name_and_split(name, ("poly_music", "jsb_chorales_json"), split, _MAT, other)
    import numpy as np

    folder = find(name)
    if name == "jsb_chorales_json":
        text = stored_file(folder, "Jsb16thSeparated.json").read_text(encoding="utf-8")
        return [np.array(piece, np.int16) for piece in json.loads(text)[_JSON[split]]]
    from scipy.io import loadmat

    cells = loadmat(stored_file(folder, "JSB_Chorales.mat"), variable_names=[_MAT[split]])[_MAT[split]]
    return [np.asarray(piece, np.int8) for piece in cells.ravel()]
