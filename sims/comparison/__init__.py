"""Policies and algorithms side by side, beside the central solver."""
