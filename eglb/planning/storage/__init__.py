"""Results folders: tables, prices, rounds and numbers of a plan, written and read."""
