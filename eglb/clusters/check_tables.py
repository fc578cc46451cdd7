"""A checked launch file for a terminal."""

from __future__ import annotations
