"""From what an operator can know to footprints per energy: weather, cooling, fuel mix, and the power of a model.

Every figure is typed in here with its unit, its source and its range, low to high; nothing is read from files
and nothing is random. Arrays keep the shape they come in, such as (regions, hours). Formulas and figures on
one page: docs/footprints.md.
"""
