"""``eglb scenario data-plane``: configurations to start proxies with."""

from __future__ import annotations

from pathlib import Path

import click

from eglb.cli import options, streams


@click.command("data-plane", short_help="Write configurations to start HAProxy, NGINX and Envoy with.")
@click.argument("scenario", metavar="SCENARIO")
@click.argument("file", type=click.Path(path_type=Path))
@options.read_options
@options.output_options
def data_plane_command(
    scenario: str, file: Path, data: Path | None, seed: int | None, as_json: bool, quiet: bool
) -> int:
    """Write a whole configuration for each proxy that FILE declares for SCENARIO, as `eglb serve` keeps them.

    FILE is that of `eglb serve --data-plane`. Configurations are written over, weights that are there stay.
    docs/data_plane.md: what FILE holds, and what else a configuration of one's own must have.
    """
    from eglb.live.data_plane.keeping import read_data_planes, write_starting_files

    with streams.stdout_kept_clean():
        fleet = options.load_weighted(scenario, data, seed)
        planes = read_data_planes(file, fleet.gateways, fleet.regions)
        written = {plane.name: [str(path) for path in write_starting_files([plane])] for plane in planes}
    if as_json:
        streams.print_json({"status": "ok", "exit_code": 0, "scenario": fleet.name, "files": written})
    elif not quiet:
        for name, paths in written.items():
            streams.print_note(f"{name}: {', '.join(paths)}")
    return 0
