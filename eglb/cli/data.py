"""``eglb data``: what measured series there are, whether they are whole, and how to get them."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from eglb.cli import options, streams

if TYPE_CHECKING:
    from rich.console import Console

    from eglb.scenarios.data_sets.sets import DataSet

EXIT_INPUT = 2
# Between two lines of progress where the output is not a terminal.
LINE_SECONDS = 5.0

_folder = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Data directory; else $EGLB_DATA, else the user's cache directory.",
)
_names = click.argument("names", metavar="[NAME]...", nargs=-1)


@click.group("data", short_help="Measured series: what there is, check and fetch them.")
def data_group() -> None:
    """The data directory, from which built-in scenarios such as paper10 are read.

    NAME is a data set or a built-in scenario, which stands for all sets that it is read from; none means all.
    """


@data_group.command("list")
@_names
@_folder
@options.output_options
def list_command(names: tuple[str, ...], data: Path | None, as_json: bool, quiet: bool) -> int:
    """What each data set is, whether it is there, who needs it, and what its licence asks to be said."""
    from eglb.scenarios.catalog import data_directory
    from eglb.scenarios.data_sets.inspection import present
    from eglb.scenarios.data_sets.sets import chosen

    folder = data_directory(data)
    there = present(folder)
    rows = [_described(each, there) for each in chosen(names)]
    if as_json:
        streams.print_json({"folder": str(folder), "sets": rows})
    elif not quiet:
        _print_sets(folder, rows, names)
    return 0


def _described(each: DataSet, there: dict[str, bool]) -> dict[str, Any]:
    """A set as JSON has it."""
    from eglb.scenarios.data_sets.fetching import source_files
    from eglb.scenarios.data_sets.manifest import files

    listed = [file for file in files() if file.set_name == each.name]
    sources = source_files(each)
    count = sum(there[file.path] for file in listed)
    return {
        "name": each.name,
        "title": each.title,
        "state": "present" if count == len(listed) else "partly" if count else "absent",
        "scenarios": list(each.scenarios),
        "bytes": sum(file.size for file in listed),
        "files": [{"path": f.path, "bytes": f.size, "present": there[f.path]} for f in listed],
        "licence": each.licence,
        "attribution": each.attribution,
        "sources": list(each.pins),
        "source_files": len(sources),
        "source_bytes": sum(source.size for source in sources),
        "fetchable": each.builder is not None,
        "by_hand": each.by_hand,
    }


def _print_sets(folder: Path, rows: list[dict[str, Any]], names: tuple[str, ...]) -> None:
    from rich.console import Group, RenderableType
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from eglb.foundation.numbers import byte_count

    shown: list[RenderableType] = [Text(f"{folder}\n", style="bold")]
    colour = {"present": "green", "partly": "yellow", "absent": "red"}
    for row in rows:
        heading = Text.assemble(
            (row["name"], "bold"),
            "  ",
            (row["state"], colour[row["state"]]),
            f"  {byte_count(row['bytes'])}",
            f"  for {', '.join(row['scenarios'])}" if row["scenarios"] else "",
        )
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        origin = ", ".join(row["sources"])
        if row["source_files"]:
            files = "file" if row["source_files"] == 1 else "files"
            origin += f"; {byte_count(row['source_bytes'])} in {row['source_files']} {files}"
        missing = [file["path"] for file in row["files"] if not file["present"]]
        for label, value in (
            ("is", row["title"]),
            ("licence", row["licence"]),
            ("to be said", row["attribution"]),
            ("from", origin or row["by_hand"]),
            ("files", ", ".join(file["path"] for file in row["files"])),
            ("missing", ", ".join(missing) if row["state"] == "partly" else ""),
        ):
            if value:
                table.add_row(label, Text(value))
        shown += [heading, Padding(table, (0, 0, 1, 2))]
    absent = [row["name"] for row in rows if row["state"] != "present" and row["fetchable"]]
    if absent:
        shown.append(Text(f"next: eglb data fetch {' '.join(names) or absent[0]}"))
    streams.print_table(Group(*shown))


@data_group.command("check")
@_names
@_folder
@options.output_options
def check_command(names: tuple[str, ...], data: Path | None, as_json: bool, quiet: bool) -> int:
    """Compare size and SHA-256 of every file with the manifest that ships with the project.

    A file that says the same in other bytes, compressed by another library, is as good. Files that the
    manifest does not know are listed, and so are sets that can only be put together by hand and are not
    there. Exit code 2 if a file is missing or differs.
    """
    from eglb.foundation.errors import InputError
    from eglb.foundation.numbers import byte_count
    from eglb.scenarios.catalog import data_directory
    from eglb.scenarios.data_sets.inspection import inspect, unknown
    from eglb.scenarios.data_sets.sets import chosen

    began = time.monotonic()
    folder = data_directory(data)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; eglb data fetch makes it, --data DIR names another")
    findings = inspect(folder, {each.name for each in chosen(names)})
    there = {f.file.set_name for f in findings if f.state != "missing"}
    by_hand = [s.name for s in chosen(names) if not s.builder and s.name not in there and s.name not in names]
    findings = [f for f in findings if f.file.set_name not in by_hand]
    others = unknown(folder)
    problems = [
        f"{folder / f.file.path}: {f.state}{': ' if f.detail else ''}{f.detail}"
        for f in findings
        if not f.fine
    ]
    if as_json:
        streams.print_json(
            {
                "status": "wrong_input" if problems else "ok",
                "exit_code": EXIT_INPUT if problems else 0,
                "folder": str(folder),
                "files": [
                    {"path": f.file.path, "set": f.file.set_name, "state": f.state, "detail": f.detail}
                    for f in findings
                ],
                "unknown": others,
                "not_there_by_hand": by_hand,
                "problems": problems,
            }
        )
    for problem in problems:
        streams.print_note(f"eglb: {problem}")
    if not quiet:
        for path in others:
            streams.print_note(f"not in the manifest: {path}")
        for name in by_hand:
            streams.print_note(f"not there, and to be put together by hand: {name}")
    if problems:
        return EXIT_INPUT
    if not as_json and not quiet:
        size = sum((folder / f.file.path).stat().st_size for f in findings)
        repacked = sum(f.state == "repacked" for f in findings)
        also = f", {repacked} of them the same in other bytes" if repacked else ""
        seconds = time.monotonic() - began
        click.echo(f"{folder}: ok, {len(findings)} files{also}, {byte_count(size)}, {seconds:.1f} s")
    return 0


@data_group.command("fetch")
@_names
@_folder
@click.option(
    "--mirror",
    metavar="URL",
    help="Where the sources are, laid out as URL/OWNER/NAME/COMMIT/PATH; else $EGLB_DATA_MIRROR, else the "
    "public host of their repositories.",
)
@options.output_options
def fetch_command(
    names: tuple[str, ...], data: Path | None, mirror: str | None, as_json: bool, quiet: bool
) -> int:
    """Download the public sources at pinned commits, and build the files of the data directory from them.

    Every source file must have the size and SHA-256 that the project knows, and every file built from them
    what the manifest says; else nothing of that set is kept. What is there already is left alone.
    """
    from eglb.scenarios.catalog import data_directory
    from eglb.scenarios.data_sets.download import mirror_of
    from eglb.scenarios.data_sets.fetching import fetch
    from eglb.scenarios.data_sets.sets import chosen

    folder = data_directory(data)
    wanted = chosen(names)
    where = mirror_of(mirror)
    try:
        with streams.stdout_kept_clean(), FetchShown(quiet) as shown:
            done = fetch(folder, wanted, where, shown)
    except KeyboardInterrupt:
        kept = f"interrupted; what was downloaded whole is kept in {folder}, the same command goes on"
        raise KeyboardInterrupt(kept) from None
    by_hand = [each.data_set for each in done if each.outcome == "by hand"]
    code = EXIT_INPUT if any(each.name in names for each in by_hand) else 0
    problems = [f"{each.name}: cannot be fetched: {each.by_hand}" for each in by_hand]
    if as_json:
        rows = [
            {
                "name": each.data_set.name,
                "outcome": each.outcome.replace(" ", "_"),
                "source_bytes": each.source_bytes,
                "seconds": round(each.seconds, 3),
            }
            for each in done
        ]
        status = "wrong_input" if code else "ok"
        streams.print_json(
            {"status": status, "exit_code": code, "folder": str(folder), "sets": rows, "problems": problems}
        )
    elif not quiet:
        _print_fetched(folder, done)
    for problem in problems if code or not quiet else ():
        streams.print_note(f"eglb: {problem}")
    return code


def _print_fetched(folder: Path, done: list[Any]) -> None:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from eglb.foundation.numbers import byte_count, duration

    table = Table.grid(padding=(0, 2, 0, 0))
    for each in done:
        if each.outcome != "by hand":
            fetched = each.outcome == "fetched"
            table.add_row(
                Text(each.data_set.name, style="bold"),
                Text(each.outcome, style="green"),
                f"{byte_count(each.source_bytes)} of sources" if fetched and each.source_bytes else "",
                duration(each.seconds) if fetched else "",
            )
    streams.print_table(Group(Text(str(folder)), table))


class FetchShown:
    """Shows a fetch on stderr: a bar in a terminal, now and then a line elsewhere, nothing when quiet."""

    def __init__(self, quiet: bool = False, console: Console | None = None) -> None:
        from rich.console import Console as StderrConsole
        from rich.progress import BarColumn, Progress, TextColumn

        self._quiet = quiet
        self._console = console or StderrConsole(file=sys.stderr, highlight=False)
        columns = TextColumn("{task.description}"), BarColumn(None), TextColumn("{task.fields[amount]}")
        self._bar = Progress(*columns, console=self._console, transient=True, redirect_stdout=False)
        self._task = self._bar.add_task("", total=None, amount="")
        self._said, self._said_at = "", 0.0
        self._size = self._count = 0

    def __enter__(self) -> FetchShown:
        if not self._quiet and self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def begin(self, name: str, doing: str, size: int) -> None:
        """A set starts."""
        self._said, self._size, self._count = f"{name}: {doing}", size, 0
        self._bar.remove_task(self._task)
        self._task = self._bar.add_task(self._said, total=size or None, amount="")
        self._say()

    def more(self, count: int) -> None:
        """So many more bytes are there."""
        self._count += count
        self._bar.update(self._task, advance=count, amount=self._amount())
        if time.monotonic() - self._said_at >= LINE_SECONDS:
            self._say()

    def _say(self) -> None:
        if self._quiet or self._console.is_terminal:
            return
        self._said_at = time.monotonic()
        self._console.print(" ".join(filter(None, (self._said, self._amount()))), soft_wrap=True)

    def _amount(self) -> str:
        from eglb.foundation.numbers import byte_count

        return f"{byte_count(self._count)} of {byte_count(self._size)}" if self._size else ""
