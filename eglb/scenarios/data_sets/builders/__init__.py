"""Data sets made from their public sources, one module a set. Each has ``build(sources, folder, made)``."""
