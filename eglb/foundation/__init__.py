"""What every room may use: errors, how numbers are printed, folders written whole or not, compiled kernels,
plots.

Nothing here knows a fleet, an agent or a plan.
"""
