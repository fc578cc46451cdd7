"""What a fleet is, and where fleets come from: folders, built-in worlds, generated fleets; no algorithm."""
