"""Fleets of growing size: rounds, time, memory and bytes."""
