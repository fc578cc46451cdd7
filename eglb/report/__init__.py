"""The report of a results folder: one HTML file that opens without a network.

`inputs` reads the folder; `hours`, `bars`, `convergence`, `timeseries` and `world` say what is drawn;
`summary`, `sections` and `provenance` write text and tables; `page` puts them together with the library that
draws.

Vega, because one script of 0.9 MB draws everything as SVG: sharp on paper, coloured by the page's own style
in light and dark. Nothing is solved here but the usual policies; figures of a plan are recomputed from plan
and scenario by `eglb.planning.audit`.
"""

from eglb.report.page import REPORT, build, write

__all__ = ["REPORT", "build", "write"]
