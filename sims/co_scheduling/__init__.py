"""Training and inference planned apart and in one plan."""
