"""Jobs in the service: intake, what is left of each, where each runs."""
