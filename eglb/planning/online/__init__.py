"""Forecasts and policies by name, for replay and live alike."""
