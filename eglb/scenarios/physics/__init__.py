"""From what an operator can know to footprints: weather, cooling, fuel mix, energy of a request.

Every figure is typed in here with its unit, its source and its range, low to high; nothing is read from files
and nothing is random. Arrays keep the shape they come in, such as (regions, hours). Formulas and figures on
one page: docs/footprints.md.
"""

__all__ = [
    "cooling",
    "countries",
    "electricity",
    "energy",
    "figure",
    "weather",
]
