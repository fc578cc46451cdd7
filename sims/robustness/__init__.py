"""Policies against forecasts, wrong estimates and misdeclared periods."""
