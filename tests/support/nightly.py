"""Parameters of which a part runs in every test run, and all of them every night."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest


def rest_long(values: Sequence[Any], always: int) -> list[Any]:
    """The first `always` of some parameters as they are, the others marked ``long``."""
    return [*values[:always], *(pytest.param(value, marks=pytest.mark.long) for value in values[always:])]
