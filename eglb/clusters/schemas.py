"""JSON schemas of launch files, Ray's own and ours for KubeRay, and what they find said in plain words."""

from __future__ import annotations

import importlib.resources
import importlib.util
import json
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator, ValidationError

from eglb.clusters.reading import Findings, Place, shown
from eglb.scenarios.folder.tables import suggest

_TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "empty",
    "number": "a number",
    "object": "a mapping",
    "string": "text",
}


def launcher_schema() -> dict[str, Any]:
    """What ``ray up`` itself checks a file against, from the ray package that is installed."""
    spec = importlib.util.find_spec("ray")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the ray package is not installed")
    return json.loads((Path(spec.origin).parent / "autoscaler" / "ray-schema.json").read_text("utf-8"))


def kuberay_schema() -> dict[str, Any]:
    """What KubeRay reads of its two kinds of file."""
    text = importlib.resources.files(__package__).joinpath("kuberay_schema.json").read_text("utf-8")
    return json.loads(text)


def check_schema(document: Place, schema: dict[str, Any], findings: Findings) -> None:
    """Every way in which the document is not what the schema asks for."""
    for error in sorted(Draft7Validator(schema).iter_errors(document.value), key=_where):
        place = document
        for key in error.absolute_path:
            place = Place(document.file, None, (*place.keys, key))
        _say(place, error, findings)


def _where(error: ValidationError) -> list[str]:
    return [str(key) for key in error.absolute_path]


def _say(place: Place, error: ValidationError, findings: Findings) -> None:
    value, wanted = error.instance, error.validator_value
    if error.validator == "required":
        for key in [key for key in wanted if key not in value]:
            findings.wrong(place, f"{key} is missing")
        return
    if error.validator == "additionalProperties" and wanted is False:
        known = error.schema.get("properties", {})
        for key in [key for key in value if key not in known]:
            here = Place(place.file, None, (*place.keys, str(key)))
            findings.wrong(here, f"is no key that is read here{suggest(str(key), known)}")
        return
    if error.validator == "type":
        types = [wanted] if isinstance(wanted, str) else wanted
        what = f"{shown(value)} must be {' or '.join(_TYPES.get(name, name) for name in types)}"
        if "string" in types and isinstance(value, bool | int | float):
            what += "; put it in quotes"
        elif "object" in types and value is None:
            what = "is empty"
    elif error.validator == "minimum":
        what = f"{shown(value)} must be at least {wanted}"
    elif error.validator in ("enum", "const"):
        choices = [wanted] if error.validator == "const" else wanted
        what = f"{shown(value)} must be {' or '.join(map(str, choices))}{suggest(str(value), choices)}"
    elif error.validator in ("minItems", "minLength"):
        what = "is empty"
    elif error.validator == "pattern":
        what = f"{shown(value)} must be of small letters, digits and '-', and begin with a letter"
    else:
        what = error.message[:200]
    findings.wrong(place, what)
