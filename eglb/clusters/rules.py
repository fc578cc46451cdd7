"""What every cluster of agents needs, whoever starts it: one Ray, regions that exist, a token, the wheel."""

from __future__ import annotations

import difflib
import importlib.metadata
import re
from collections.abc import Sequence
from dataclasses import dataclass

from eglb.clusters.commands import check_installed_ray
from eglb.clusters.reading import Findings, Place, shown
from eglb.scenarios.folder.tables import suggest

LABEL = "region"
"""The node label that agents are placed by: the region whose agent runs there."""
PYTHON = (3, 11)
"""The oldest Python that the project runs on."""
_LABEL_WORD = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_IMAGE_KEYS = ("image", "head_image", "worker_image")
_TAG = re.compile(r"(\d+\.\d+\.\d+)(?:\.[0-9a-f]+)?(?:-py(\d)(\d+))?(?:[-.].*)?")
_PLACEHOLDER = re.compile(r"\byour-[\w-]+|\b192\.0\.2\.\d+")


@dataclass(frozen=True)
class Group:
    """Nodes that are started alike, `least` to `most` of them, for the agent of `region` (None: any)."""

    name: str
    least: int
    most: int
    region: str | None


@dataclass(frozen=True)
class Cluster:
    """What a launch file starts, and where it says so.

    `token` says where nodes have their token from, `wheel` what installs the project; `versions` is how many
    places name Ray's version.
    """

    kind: str
    name: str
    head: str
    groups: tuple[Group, ...]
    token: str
    wheel: str
    versions: int


def installed_ray() -> str:
    """The version of Ray that is installed here, which is the locked one."""
    return importlib.metadata.version("ray")


def check_versions(document: Place, findings: Findings) -> int:
    """Every version of Ray that the document names, wherever it does, is the installed one; how many do."""
    pin, named = installed_ray(), 0
    for place in document.texts():
        if place.key in _IMAGE_KEYS:
            named += _check_image(place, pin, findings)
        elif place.key == "rayVersion":
            named += 1
            if place.text != pin:
                findings.wrong(place, f"{shown(place.text)} is not the Ray of this project, {pin}")
        else:
            named += check_installed_ray(place, pin, findings)
    return named


def is_rays_image(name: str) -> bool:
    """Whether an image is one that Ray's own makers build: rayproject/ray and its kin."""
    path = (
        name.partition("@")[0].rsplit(":", 1)[0] if ":" in name.rsplit("/", 1)[-1] else name.partition("@")[0]
    )
    return re.search(r"(^|/)rayproject/ray[\w-]*$", path) is not None


def _check_image(place: Place, pin: str, findings: Findings) -> int:
    name = place.text
    wanted = f"rayproject/ray:{pin}-py{PYTHON[0]}{PYTHON[1]}-cpu"
    if not is_rays_image(name):
        findings.note(
            place,
            f"{shown(name)} is not one of Ray's images: whether it holds Ray {pin} and eglb cannot be seen",
        )
        return 0
    tag = name.rsplit("/", 1)[-1].partition("@")[0].partition(":")[2]
    found = _TAG.fullmatch(tag)
    if found is None:
        findings.wrong(place, f"{shown(name)} names no version of Ray: write {wanted}")
        return 0
    if found[1] != pin:
        findings.wrong(place, f"{shown(name)} is not the Ray of this project, {pin}: write {wanted}")
    if found[2] is None:
        findings.wrong(place, f"{shown(name)} names no Python, eglb needs {_python()}: write {wanted}")
    elif (int(found[2]), int(found[3])) < PYTHON:
        findings.wrong(
            place,
            f"{shown(name)} has Python {found[2]}.{found[3]}, eglb needs {_python()}: write {wanted}",
        )
    return 1


def _python() -> str:
    return ".".join(map(str, PYTHON))


def check_label_words(labels: Place, findings: Findings) -> None:
    """Labels are of the form that Ray and Kubernetes take, and none is a misspelt or mistaken region."""
    for place in labels.below():
        name = place.key.rsplit("/", 1)[-1]
        if place.key == "ray.io/region" and not labels.at(LABEL).there:
            findings.note(place, f"says where a node stands; agents are placed by the label {LABEL!r}")
        if not _LABEL_WORD.fullmatch(name):
            findings.wrong(place, f"{shown(place.key)} cannot be a label: {_FORM}")
        if place.text and not _LABEL_WORD.fullmatch(place.text):
            findings.wrong(place, f"{shown(place.text)} cannot be a label's value: {_FORM}")
        if place.key != LABEL and difflib.get_close_matches(place.key.lower(), [LABEL], cutoff=0.75):
            findings.wrong(place, f"agents are not placed by it; did you mean {LABEL}?")


_FORM = "up to 63 letters, digits, '-', '_' and '.', a letter or digit at either end"


def check_region(
    place: Place, region: str, regions: Sequence[str], scenario: str, findings: Findings
) -> None:
    """A node's region is one of the scenario's."""
    if region not in regions:
        known = suggest(region, regions) or f"; there are {some(regions)}"
        findings.wrong(place, f"{shown(region)} is no region of {scenario}{known}")


def check_no_region(place: Place, findings: Findings) -> None:
    """The head has no region."""
    if place.there:
        findings.wrong(
            place, f"{shown(place.value)}: the head runs the coordinator and no agent, so it has no region"
        )


def check_groups(groups: Sequence[Group], place: Place, regions: Sequence[str], findings: Findings) -> None:
    """There are nodes for agents; regions without one are worth knowing."""
    if not any(group.most > 0 for group in groups):
        findings.wrong(place, "there is no node for agents: the head takes none")
        return
    served = {group.region for group in groups if group.most > 0}
    absent = [region for region in regions if region not in served]
    if len(absent) == len(regions):
        findings.note(place, f"no node has the label {LABEL!r}: agents go to any")
    elif absent:
        findings.note(place, f"no node for {some(absent)}: their agents go to any")
    late = [g.name for g in groups if g.region is not None and g.least == 0 < g.most]
    if late:
        findings.note(
            place,
            f"{some(late)}: no node is there from the start, and labels alone may never start one",
        )


def check_placeholders(document: Place, findings: Findings) -> None:
    """What the files that ship leave to fill in."""
    left = [place for place in document.texts() if _PLACEHOLDER.search(place.text)]
    if left:
        example = _PLACEHOLDER.search(left[0].text)
        findings.note(
            left[0], f"{shown(example[0] if example else '')} and the like are still to be filled in"
        )


def some(names: Sequence[str], limit: int = 6) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")
