"""Data sets made from their public sources, one module a set. Each has ``build(sources, folder, made)``."""

__all__ = [
    "balancing",
    "egress",
    "fuelmix",
    "latency",
    "paper10",
    "population",
    "prices",
    "regions",
    "requests",
    "servegen",
    "weather",
    "weather_stations",
    "world16",
    "zones",
]
