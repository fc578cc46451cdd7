"""Columns of the Parquet tables of a results folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eglb.foundation.arrays import Array
from eglb.scenarios.scenario import Scenario

if TYPE_CHECKING:
    import pyarrow as pa


def time_column(scenario: Scenario, slots: Array) -> pa.Array:
    """The start of each of `slots`, UTC."""
    import pyarrow as pa

    return pa.array(scenario.times[slots].astype("datetime64[ms]")).cast(pa.timestamp("ms", tz="UTC"))


def name_column(names: tuple[str, ...], indices: Array) -> pa.Array:
    """The name at each of `indices`, coded."""
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(indices.astype(np.int32)), pa.array(names, pa.string()))


def positions(column: pa.ChunkedArray, names: tuple[str, ...]) -> Array:
    """Index of each entry of `column` in `names`, -1 where it is none of them."""
    import pyarrow as pa

    whole = column.combine_chunks()
    coded = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
    index = {name: place for place, name in enumerate(names)}
    place = np.array([index.get(name, -1) for name in coded.dictionary.to_pylist()] or [-1])
    return np.asarray(place[coded.indices.to_numpy(zero_copy_only=False)])


def slot_positions(column: pa.ChunkedArray, scenario: Scenario) -> Array:
    """Slot that starts at each entry of `column`, -1 where none does."""
    times = column.to_numpy().astype("datetime64[s]")
    slot = np.minimum(np.searchsorted(scenario.times, times), scenario.slots - 1)
    return np.where(scenario.times[slot] == times, slot, -1)
