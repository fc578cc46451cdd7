"""From a plan to routed requests: signals in, plans by the clock, weights out, meters back.

Above `eglb.sims`, whose scenarios it serves, and below the command.
"""
