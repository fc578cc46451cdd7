"""A coarse map of the world's land, for pictures of fleets in terminals and reports.

Cells of 2 by 2 degrees; a cell is land if at least half of it is. Made from the GLOBE elevation model (1999,
National Geophysical Data Center of NOAA, public domain), in the 30 arc-second land mask that
the package global-land-mask 1.0.0 derives from it: the mean of each block of 240 x 240 points, rounded. Lakes
count as land, as in GLOBE. No figure of a plan is computed from it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eglb.foundation.arrays import Array

CELL_DEGREES = 2

# One row a line from 90 N southward, one bit a cell from 180 W eastward, in hexadecimal.
_ROWS = """
000000000000000000000000000000000000000000000 000000000000000000000000000000000000000000000
000000000000000000000000000000000000000000000 0000000000001f000ff80000000000000000000000000
00000000001fffffffffe000000000000040000000000 00000000001ff8ffffff0000f80000000030000000000
000000010023e1ffffff0000200000000006000000000 00000000400fc007ffff00000000030003ffe00180000
0000000f88b7f003fffe0000000004041ffffdc0c0000 00100001fc37fe01fffe00000000040dffffffeffd800
00fffbfffe598f00fff800001ff000fdfffffffffffff f0ffffffffff87e1ff8000007ffcfffdfffffffffffff
31fffffffffd1780fc01e000fbe3fffffffffffffffff 00fffffffff0018078000003e7ffffffffffffffffffe
01ffffffffe01e0038000007e7ffffffffffffffff1f0 007807ffffe01f4000000007e3ffffffffffffff80200
000001fffff80fe000000182c7fffffffffffffe00e00 000000ffffff9ff0000002820ffffffffffffffc00e00
0000007fffff9ffc000006c7ffffffffffffffff80c00 0000003ffffffffc000000dfffffffffffffffff40000
0000001fffffff860000007fffffffffffffffff40000 0000000fffffffc00000007ffffffffffffffffe00000
0000000fffffffe00000007f7f87fffffffffffc00000 0000000ffffffe00000003f19f03fffffffffff840000
0000000ffffffc00000003e04f7bffffffffffe080000 0000000ffffff800000007c00dfffffffffff8c080000
00000007fffff0000000038200fffffffffffe6100000 00000003fffff000000001fe000ffffffffffc4e00000
00000001ffffc000000003ff000ffffffffffc1000000 00000000ffff8000000007ffeffffffffffffe0000000
000000003fc0c000000007ffffffdffffffffe0000000 000000005f80400000001fffffefe7fffffffc0000000
000000002f80000000001fffffe7f01ffffff80000000 000000000780000000003ffffff7ff0ffffff00000000
000000000784100000003ffffffbfe07fcff000000000 0000000003cc020000003ffffff9fe03f07e000000000
0000000000fc000000003ffffffdf801e07f020000000 00000000000f000000003ffffffde001c01f020000000
000000000003000000003fffffff8001c017800000000 000000000001070000003fffffff2000c003000000000
0000000000008ff000001fffffffe0008010008000000 0000000000001ff800000fffffffe0002008008000000
0000000000001fff00000207ffffc000002c180000000 0000000000001fff80000001ffff80000014380000000
0000000000003fff80000001ffff0000001c780000000 0000000000003fffe0000001fffe0000000c780800000
0000000000003ffffc000001fffc00000006320f80000 0000000000007fffff000000fffc000000020001e0000
0000000000003fffff800000fffc00000001c001f0000 0000000000001fffff0000007ffc00000000000010000
0000000000001fffff0000007ffc00000000000000000 0000000000000ffffe000000fffc20000000001c40000
0000000000000ffffe000000fffc20000000007c40000 00000000000003fffc000000fff8e000000001fee0000
00000000000001fffc000000fff0e000000001ffe0000 00000000000001fffc0000007ff0c00000000ffff8000
00000000000001fff00000007ff0c00000001ffff8000 00000000000001ffc00000007fe0800000001ffffc000
00000000000001ffc00000003fc0000000001ffffe000 00000000000003ff800000003fc0000000001ffffe000
00000000000003ff000000001f80000000000ffffc000 00000000000003ff000000001f00000000000f07fc000
00000000000003fc000000000000000000000801f8000 00000000000007f8000000000000000000000000f8000
00000000000007e000000000000000000000000000006 00000000000007c000000000000000000000000000008
00000000000007c000000000000000000000000010018 000000000000078000000000000000000000000000030
000000000000078000000000000000000000000000000 0000000000000f0000000000000000000000000000000
000000000000070000000000000000000000000000000 000000000000070000000000000000000000000000000
000000000000010000000000000000000000000000000 000000000000000000000000000000000000000000000
000000000000000000000000000000000000000000000 000000000000000000000000000000000000000000000
000000000000000000000000000000000000000000000 000000000000002000000000000000000000000000000
00000000000000400000000000001e0007fff1ffc0000 00000000000002c0000000000003fff87fffffffff000
00000000000003e00000021ffffffff3fffffffffffc0 0000000000cc23f000001ffffffffffffffffffffffc0
000007ffe1ffffe000007ffffffffffffffffffffff00 0000fffffffff800003ffffffffffffffffffffffff00
0007ffffffffe000707fffffffffffffffffffffffe00 0001fffffffffc0003ffffffffffffffffffffffffe00
000fffffffffffe7fffffffffffffffffffffffffffc0 ff3ffffffffffffffffffffffffffffffffffffffffff
fffffffffffffffffffffffffffffffffffffffffffff fffffffffffffffffffffffffffffffffffffffffffff
"""

LAND = np.array([[digit == "1" for digit in f"{int(row, 16):0180b}"] for row in _ROWS.split()])
"""(90, 180) bool, from north to south and west to east."""

# What a map of the whole world shows: no fleet stands in Antarctica.
WEST, EAST, SOUTH, NORTH = -180.0, 180.0, -57.0, 78.0
# A wider map would show no more, and a longer legend would not be read.
WIDEST, LETTERED = 96, 52
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BRAILLE = 0x2800
_DOT_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])


def land_drawn(lat: Array, lon: Array) -> Array:
    """(rows, columns): where a map with dots at these latitudes and longitudes, in degrees, shows land.

    Between the middles of cells the mask is interpolated, so that a map of a part of the world has no steps.
    """
    row = np.clip((90 - np.asarray(lat)) / CELL_DEGREES - 0.5, 0, LAND.shape[0] - 1)
    column = (np.asarray(lon) + 180) / CELL_DEGREES - 0.5
    above, left = np.floor(row).astype(int), np.floor(column).astype(int)
    below = np.minimum(above + 1, LAND.shape[0] - 1)
    west, east = LAND[:, left % LAND.shape[1]], LAND[:, (left + 1) % LAND.shape[1]]
    along = west + (column - left) * (east.astype(float) - west)
    down = (row - above)[:, None]
    return np.asarray(along[above] * (1 - down) + along[below] * down >= 0.5)


def terminal_map(
    lat: Array, lon: Array, labels: Sequence[str], width: int, ascii_only: bool = False
) -> list[str]:
    """The points, in degrees, on a map of plain characters at most `width` columns wide, legend below.

    Land is drawn in dots of braille, or in full stops. Up to 52 points are letters, each in the free cell
    nearest to its place, and the legend says their labels; more are counted, cell by cell. A fleet within one
    part of the world gets a map of that part.
    """
    lat, lon = np.asarray(lat, dtype=float), (np.asarray(lon, dtype=float) + 180) % 360 - 180
    columns = max(20, min(width, WIDEST))
    west, east, south, north = view(lat, lon)
    step = (east - west) / columns  # degrees a column; a character is twice as high as it is wide
    rows = max(1, round((north - south) / (2 * step)))
    down, across = (1, 1) if ascii_only else _DOT_BITS.shape
    dot_lat = north - 2 * step * (np.arange(rows * down) + 0.5) / down
    dot_lon = west + step * (np.arange(columns * across) + 0.5) / across
    land = land_drawn(dot_lat, dot_lon).reshape(rows, down, columns, across)
    if ascii_only:
        canvas = np.where(land[:, 0, :, 0], ".", " ")
    else:
        bits = np.einsum("rdca,da->rc", land, _DOT_BITS)
        canvas = np.array([[chr(_BRAILLE + cell) if cell else " " for cell in row] for row in bits])
    row = np.clip((north - lat) // (2 * step), 0, rows - 1).astype(int)
    column = np.clip((lon - west) // step, 0, columns - 1).astype(int)
    mark = _letter if len(labels) <= LETTERED else _count
    mark(canvas, row, column)
    return ["".join(line).rstrip() for line in canvas] + _legend(labels, width, ascii_only)


def view(lat: Array, lon: Array) -> tuple[float, float, float, float]:
    """West, east, south and north, in degrees, of a map of these points: the world or a part of it."""
    wide, high = np.ptp(lon) + 20.0, np.ptp(lat) + 16.0
    scale = max(wide / (EAST - WEST), high / (NORTH - SOUTH), 1 / 6)
    if scale > 0.6:
        return WEST, EAST, SOUTH, NORTH
    half_wide, half_high = scale * (EAST - WEST) / 2, scale * (NORTH - SOUTH) / 2
    x = float(np.clip((lon.min() + lon.max()) / 2, WEST + half_wide, EAST - half_wide))
    y = float(np.clip((lat.min() + lat.max()) / 2, SOUTH + half_high, NORTH - half_high))
    return x - half_wide, x + half_wide, y - half_high, y + half_high


def land_dots(lat: Array, lon: Array, columns: int) -> tuple[tuple[float, float, float, float], Array]:
    """The `view` of these points, in degrees, and (n, 2) longitude and latitude of the dots of land on it,
    `columns` across.
    """
    west, east, south, north = view(lat, lon)
    step = (east - west) / columns
    down, across = np.arange(north - step / 2, south, -step), np.arange(west + step / 2, east, step)
    row, column = np.nonzero(land_drawn(down, across))
    return (west, east, south, north), np.column_stack([across[column], down[row]])


def _letter(canvas: Array, row: Array, column: Array) -> None:
    """One letter a point, in the nearest cell that no other letter has."""
    free = np.ones(canvas.shape, dtype=bool)
    rows, columns = np.indices(canvas.shape)
    for letter, r, c in zip(_LETTERS, row, column, strict=False):
        distance = np.where(free, 4 * (rows - r) ** 2 + (columns - c) ** 2, np.inf)
        r, c = np.unravel_index(distance.argmin(), canvas.shape)
        canvas[r, c], free[r, c] = letter, False
        # Letters stand clear of the land.
        beside = np.s_[r, max(c - 1, 0) : c + 2]
        canvas[beside] = np.where(free[beside], " ", canvas[beside])


def _count(canvas: Array, row: Array, column: Array) -> None:
    """How many points lie in a cell: a digit, or + for ten and more."""
    count = np.zeros(canvas.shape, dtype=int)
    np.add.at(count, (row, column), 1)
    for cell in np.argwhere(count):
        found = count[tuple(cell)]
        canvas[tuple(cell)] = str(found) if found < 10 else "+"


def _legend(labels: Sequence[str], width: int, ascii_only: bool) -> list[str]:
    """Letters and labels, in as many columns as `width` has room for."""
    if len(labels) > LETTERED:
        return [f"{len(labels)} regions; a digit is how many lie there, + ten or more"]
    longest = max(8, width - 2)
    cut = "~" if ascii_only else "…"
    names = [name if len(name) <= longest else name[: longest - 1] + cut for name in labels]
    room = max(map(len, names), default=0) + 4
    across = max(1, (width + 2) // room)
    down = -(-len(names) // across)
    entries = [f"{letter} {name}" for letter, name in zip(_LETTERS, names, strict=False)]
    return ["".join(entry.ljust(room) for entry in entries[line::down]).rstrip() for line in range(down)]
