"""An earlier plan laid on another scenario, to start from."""
