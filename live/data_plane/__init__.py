"""The weights in the hands of load balancers that people already run."""
