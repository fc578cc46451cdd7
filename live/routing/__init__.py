"""Weights of a slot, and requests routed by them."""
