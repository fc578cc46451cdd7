"""Values as JSON can hold them."""

from __future__ import annotations

import json
import math

import numpy as np

from eglb.foundation.numbers import plain


def test_whatever_is_measured_becomes_plain_json() -> None:
    value = {
        1: np.float64(2.5),
        "flag": np.True_,
        "count": np.int64(3),
        "rows": (np.array([[1.0, math.nan], [math.inf, 2.0]]), [np.float32(0.5)]),
        "at": np.datetime64("2026-01-02T03:04:05.678"),
        "none": None,
    }
    told = plain(value)
    assert told == {
        "1": 2.5,
        "flag": True,
        "count": 3,
        "rows": [[[1.0, None], [None, 2.0]], [0.5]],
        "at": "2026-01-02T03:04:05Z",
        "none": None,
    }
    assert json.loads(json.dumps(told, allow_nan=False)) == told
