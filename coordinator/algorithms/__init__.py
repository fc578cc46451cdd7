"""Decentralised algorithms, one a file: sans-IO state machines that ask agents and announce prices.

`algorithm` is the interface. An algorithm sends nothing itself: `eglb.coordinator.run` carries its requests.
"""
