"""What has been published of the case of ten regions: figures as printed, each with where it was seen.

Nothing here was computed by this project. The paper is "Towards Environmentally Equitable AI via Geographical
Load Balancing", arXiv:2307.05494v1 (June 2023) and v2 (May 2024, ACM e-Energy 2024). Its tables were not at
hand when this was written, so figures of v2 are those that a public note quotes from its PDF.
"""

from __future__ import annotations

from dataclasses import dataclass

FULL, PARTIAL = "paper10", "paper10-partial"

SOURCES = {
    "notebook": "output printed in the authors' quick_demo.ipynb, Ren-Research/Environmentally-Equitable-AI "
    "@182da360, full reach",
    "v2": "the e-Energy 2024 paper, arXiv:2307.05494v2, as quoted in baobab-tech/research-ai-energy "
    "@9062ecfb, research/water/019-li-2023-environmental-equity-regional-water.md",
    "quoted": "what this project set out to reproduce, as quoted in its specification; not seen in a paper",
}

CARBON_NOT_PUBLIC = "v2 has other carbon series than the published ones"
STEP_NOT_PUBLIC = "v2's step, auxiliary bound and carbon series are not published"

NOT_REPRODUCIBLE = (
    (
        "the carbon columns of v2",
        "GLB-Water does not look at carbon. Its water figures come out as printed (max/avg 1.62, average "
        "1,243.9 m3), its carbon max/avg does not (2.18 printed): v2 was made with other carbon series than "
        "the repository holds.",
    ),
    (
        "what v2's plans that look at carbon do to water",
        "GLB-Carbon and eGLB-Off choose by those series too, so their water differs with them.",
    ),
    (
        "v2's online eGLB",
        "The step and the bound of the auxiliary variable are not published, and it looks at carbon; shown "
        "is the published method with this project's step.",
    ),
    (
        "GLB-Nearest in the notebook",
        "Its cell 'Closest Connection' hands the solver the mask of full reach by mistake and prints the "
        "equitable plan's figures; GLB-Nearest is compared with v2 instead.",
    ),
)


@dataclass(frozen=True)
class PublishedFigure:
    """One printed figure: `text` as its source has it, `why` where public data cannot give it."""

    source: str
    case: str
    policy: str
    quantity: str
    text: str
    why: str = ""

    @property
    def value(self) -> float:
        """The figure as a number."""
        return float(self.text)

    @property
    def half_digit(self) -> float:
        """Half a unit of the last printed digit: what rounding alone may hide."""
        _, _, decimals = self.text.partition(".")
        return float(0.5 * 10.0 ** -len(decimals))


_NOTEBOOK_EVALUATION = ("energy avg", "energy max", "water avg", "water max", "carbon avg", "carbon max")
_NOTEBOOK = {
    "eGLB-Off": (
        "33669.45105842025",
        "59253.78319315321",
        "1432.792210790843",
        "1818.734618500509",
        "104.91162881039315",
        "118.5618431881312",
    ),
    "GLB-Cost": (
        "29169.8606287178",
        "42327.51158875257",
        "1525.069250911699",
        "2607.499995942185",
        "108.714105315913",
        "182.1356032921319",
    ),
    "GLB-C2": (
        "31272.43697395047",
        "70779.11182583393",
        "1467.7833974742239",
        "2669.609162962292",
        "100.21896130273169",
        "175.56486541730902",
    ),
    "GLB-All": (
        "31473.60117948522",
        "64842.2236301698",
        "1429.4631562176683",
        "2566.60363884651",
        "101.13308465168961",
        "179.172750240521",
    ),
}
_NOTEBOOK_OPTIMUM = {
    "eGLB-Off": "623661.3524764299",
    "GLB-Cost": "291698.606287178",
    "GLB-C2": "914038.1375558949",
    "GLB-All": "1046974.2126152215",
    "GLB-Water": "74634.83688514176",
    "GLB-Carbon": "139600.80130509293",
}
OPTIMUM_WEIGHTS = {
    "GLB-Cost": (1.0, 0.0, 0.0),
    "GLB-C2": (1.0, 0.0, 6000.0),
    "GLB-All": (1.0, 300.0, 3000.0),
    "GLB-Water": (0.0, 60.0, 0.0),
    "GLB-Carbon": (0.0, 0.0, 1500.0),
}
"""What the notebook minimises: so many times total energy cost, average water and average carbon."""

FIGURES: tuple[PublishedFigure, ...] = (
    *(PublishedFigure("notebook", FULL, name, "optimum", text) for name, text in _NOTEBOOK_OPTIMUM.items()),
    *(
        PublishedFigure("notebook", FULL, name, quantity, text)
        for name, texts in _NOTEBOOK.items()
        for quantity, text in zip(_NOTEBOOK_EVALUATION, texts, strict=True)
    ),
    # What is GLB-Cost here v2 calls GLB-Energy.
    PublishedFigure("v2", FULL, "GLB-Nearest", "water max/avg", "1.45"),
    PublishedFigure("v2", FULL, "GLB-Cost", "water max/avg", "1.71"),
    PublishedFigure("v2", FULL, "GLB-Cost", "water avg", "1525.1"),
    PublishedFigure("v2", FULL, "GLB-Water", "water max/avg", "1.62"),
    PublishedFigure("v2", FULL, "GLB-Water", "water avg", "1243.9"),
    PublishedFigure("v2", FULL, "GLB-Water", "carbon max/avg", "2.18", CARBON_NOT_PUBLIC),
    PublishedFigure("v2", FULL, "GLB-Carbon", "water max/avg", "1.91", CARBON_NOT_PUBLIC),
    # The quotation does not say for which reach this largest of all worst regions is.
    PublishedFigure("v2", PARTIAL, "GLB-C2", "water max", "2675.7"),
    PublishedFigure("v2", FULL, "eGLB-Off", "water max/avg", "1.19", CARBON_NOT_PUBLIC),
    PublishedFigure("v2", FULL, "eGLB-Off", "water max", "1705.2", CARBON_NOT_PUBLIC),
    PublishedFigure("v2", FULL, "eGLB-Off", "carbon max/avg", "1.26", CARBON_NOT_PUBLIC),
    PublishedFigure("v2", FULL, "eGLB", "water max/avg", "1.33", STEP_NOT_PUBLIC),
    PublishedFigure("quoted", FULL, "GLB-Cost", "water max/avg", "1.71"),
    PublishedFigure("quoted", FULL, "eGLB-Off", "water max/avg", "1.27"),
    PublishedFigure("quoted", PARTIAL, "GLB-Cost", "water max/avg", "1.72"),
    PublishedFigure("quoted", PARTIAL, "eGLB-Off", "water max/avg", "1.30"),
    PublishedFigure("quoted", PARTIAL, "eGLB-Off", "cost of equity, %", "15.3"),
)
