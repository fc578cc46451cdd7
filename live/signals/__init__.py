"""What is known of grid, market and weather right now, whoever tells it, and how old that is."""
