"""Newton systems of the interior point method, and what they are solved with."""
