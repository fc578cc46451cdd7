"""Which processes run below another."""

from __future__ import annotations

from pathlib import Path


def process_tree(root: int) -> dict[int, str]:
    """Process id and title of all descendants of `root` that run."""
    parents, titles = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rsplit(")", 1)[1].split()[:2]
            title = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue  # it ended while we looked
        if state != "Z":
            parents[int(folder.name)], titles[int(folder.name)] = int(parent), title
    found, grown = {root}, True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return {pid: titles[pid] for pid in sorted(found - {root}) if pid in titles}
