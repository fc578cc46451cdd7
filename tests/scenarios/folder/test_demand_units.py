"""``[demand]``: requests and tokens per second become MW, and what is wrong is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eglb.foundation.errors import InputError
from eglb.scenarios.folder import reading
from eglb.scenarios.folder.writing import new, save
from eglb.scenarios.physics.energy import j_per_token, wh_per_request
from eglb.scenarios.scenario import Scenario


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    new(tmp_path / "fleet")
    return tmp_path / "fleet"


def with_section(folder: Path, lines: str) -> Scenario:
    with (folder / "scenario.toml").open("a") as file:
        file.write(f"\n[demand]\n{lines}\n")
    return reading.read(folder)


@pytest.mark.parametrize(
    ("lines", "watts"),
    [
        ('unit = "mw"', 1e6),
        ('unit = "requests_per_s"\nwh_per_request = 0.3', 0.3 * 3600),
        ('unit = "requests_per_s"\nmodel = "gemini-apps"', wh_per_request("gemini-apps").central * 3600),
        ('unit = "tokens_per_s"\nj_per_token = 2', 2.0),
        ('unit = "tokens_per_s"\nmodel = "llama-3.1-8b"', j_per_token("llama-3.1-8b").central),
        ('unit = "tokens_per_s"\nmodel = "13b"', j_per_token("13b").central),
        (
            'unit = "requests_per_s"\n'
            "server = {idle_w = 200, peak_w = 600, peak_requests_per_s = 100, utilisation = 0.5}",
            8.0,
        ),
    ],
)
def test_units(lines: str, watts: float, folder: Path, tmp_path: Path) -> None:
    plain = reading.read(folder)
    found = with_section(folder, lines)
    np.testing.assert_allclose(found.demand, plain.demand * watts / 1e6, rtol=1e-12)
    assert len(found.sources) == len(plain.sources) + (watts != 1e6)
    save(found, tmp_path / "again")
    again = reading.read(tmp_path / "again")
    np.testing.assert_array_equal(again.demand, found.demand)
    assert again.sources == found.sources


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            'unit = "queries"',
            "key demand.unit, row UNIT: 'queries' is none of mw, requests_per_s, tokens_per_s",
        ),
        ('unit = "tokens_per_s"', "'tokens_per_s' needs one of j_per_token, model; there is none of them"),
        (
            'unit = "tokens_per_s"\nwh_per_request = 1',
            "key demand.wh_per_request, row NEXT: 1 says nothing of unit",
        ),
        ('model = "llama-3.1-8b"', "'llama-3.1-8b' says nothing of unit = \"mw\""),
        ('unit = "tokens_per_s"\nmodel = "gpt"', "key demand.model, row NEXT: 'gpt' is none of llama-3.1-8b"),
        ('unit = "requests_per_s"\nmodel = "70b"', "'70b' is none of gemini-apps, bloom-176b"),
        ('unit = "tokens_per_s"\nj_per_token = 0', "key demand.j_per_token, row NEXT: 0.0 must be above 0"),
        (
            'unit = "tokens_per_s"\nj_per_tokens = 1',
            "key demand.j_per_tokens, row NEXT: unknown; did you mean j_per_token?",
        ),
        ('unit = "requests_per_s"\nserver = {idle_w = 1}', "has no peak_w"),
        (
            'unit = "requests_per_s"\n'
            "server = {idle_w = 900, peak_w = 600, peak_requests_per_s = 100, utilisation = 0.5}",
            "900.0 does not lie between 0 and peak_w = 600",
        ),
    ],
)
def test_wrong_sections(lines: str, message: str, folder: Path) -> None:
    unit = len((folder / "scenario.toml").read_text().splitlines()) + 3
    message = message.replace("UNIT", str(unit)).replace("NEXT", str(unit + 1))
    with pytest.raises(InputError) as caught:
        with_section(folder, lines)
    assert any(message in problem for problem in caught.value.problems), caught.value.problems
