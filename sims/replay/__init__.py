"""A recorded fleet replayed hour by hour, with only what was known."""
