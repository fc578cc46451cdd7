"""What is true of a service now: its clock, its state, its metrics."""
