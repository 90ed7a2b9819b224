"""Where the bytes of a file are: its layers as a treemap, and their numbers. Nothing where a report does not hold them."""

from collections.abc import Sequence

from edgekd import units
from edgekd.record import Artifact, Layer, Report
from edgekd.report.classes import shown
from edgekd.report.markup import NONE, Markup, clean, folded, grid, lines, name, percent, plain, tag
from edgekd.report.pictures import anchored, keyed

_WIDTH, _HEIGHT = 640.0, 240.0
"""px: the shape for which tiles come out as squares; a page may stretch it."""
_NARROWEST = 320.0
_MOST_TILES, _MOST_ROWS = 60, 200

Tile = tuple[float, float, float, float]
"""left, top, width, height"""


def layers(report: Report) -> list[tuple[str, Markup]]:
    """For the files that ship, under their names."""
    return [(artifact.name, _figure(artifact)) for artifact in shown(report) if any(layer.bytes for layer in artifact.layers)]


def _figure(artifact: Artifact) -> Markup:
    weighed = sorted((layer for layer in artifact.layers if layer.bytes), key=lambda layer: -layer.bytes)
    large, small = weighed[:_MOST_TILES], weighed[_MOST_TILES:]
    rest = sum(layer.bytes for layer in small)
    sizes = [float(layer.bytes) for layer in large] + ([float(rest)] if rest else [])
    tiles = squared(sizes, (0.0, 0.0, _WIDTH, _HEIGHT))
    drawn = [_tile(layer, tile) for layer, tile in zip(large, tiles, strict=False)]
    drawn += [_box(tiles[-1], f"{len(small)} more", rest, "other")] if rest else []
    total = sum(layer.bytes for layer in weighed)
    told = f"{len(weighed)} layers hold {units.bytes_text(total)} of weights; the largest is {large[0].name} with {units.bytes_text(large[0].bytes)}."
    svg = tag(
        "svg", tag("title", plain(f"Weights by layer: {artifact.name}")), tag("desc", plain(told)), *drawn, class_="tiles", height=_HEIGHT, role="img"
    )
    precisions = dict.fromkeys(layer.precision for layer in large)
    key = keyed((tag("rect", x=-7, y=-7, width=14, height=14, class_=f"tile {_kind(each)}"), each) for each in precisions)
    return tag("figure", svg, tag("figcaption", tag("p", plain(told), class_="note"), key), _listed(artifact.layers))


def _kind(precision: str) -> str:
    return "low" if "int8" in precision else "half" if "16" in precision else "full"


def _tile(layer: Layer, tile: Tile) -> Markup:
    return _box(tile, layer.name, layer.bytes, _kind(layer.precision))


def _box(tile: Tile, label: str, size: int, kind: str) -> Markup:
    left, top, width, height = (part / whole for part, whole in zip(tile, (_WIDTH, _HEIGHT, _WIDTH, _HEIGHT), strict=True))
    rect = tag("rect", x=percent(left), y=percent(top), width=percent(width), height=percent(height), class_=f"tile {kind}")
    parts = [tag("title", plain(f"{label}: {units.bytes_text(size)}")), rect]
    letters = int((width * _NARROWEST - 10) / 7.2)
    if letters >= 6 and height * _HEIGHT >= 34:
        text = [tag("text", plain(_end(label, letters)), x=6, y=15), tag("text", plain(units.bytes_text(size)), x=6, y=30, class_="under")]
        parts.append(anchored(left, 1 - top, *text))
    return tag("g", *parts)


def _end(label: str, most: int) -> str:
    """A layer's name without its beginning, which many share."""
    label = clean(label)
    return label if len(label) <= most else f"…{label[1 - most :]}"


def squared(sizes: Sequence[float], frame: Tile) -> list[Tile]:
    """Tiles of areas in the ratio of `sizes`, which fall, that fill the frame and are as square as they get.

    Rows along the shorter side, each filled while that makes its worst tile squarer (Bruls, Huizing and van Wijk 2000).
    """
    tiles: list[Tile] = []
    left, top, width, height = frame
    remaining = list(sizes)
    while remaining:
        area, total = width * height, sum(remaining)
        areas = [size / total * area for size in remaining]
        side = min(width, height)
        count = 1
        while count < len(areas) and _worst(areas[: count + 1], side) <= _worst(areas[:count], side):
            count += 1
        depth = sum(areas[:count]) / side if side else 0.0
        along = 0.0
        for part in areas[:count]:
            length = part / depth if depth else 0.0
            tiles.append((left, top + along, depth, length) if width >= height else (left + along, top, length, depth))
            along += length
        if width >= height:
            left, width = left + depth, max(0.0, width - depth)
        else:
            top, height = top + depth, max(0.0, height - depth)
        remaining = remaining[count:]
    return tiles


def _worst(areas: Sequence[float], side: float) -> float:
    """The longest shape of a row of tiles along a side: 1 is a square."""
    depth = sum(areas) / side if side else 0.0
    return max((max(depth * depth / area, area / (depth * depth)) for area in areas if area > 0 and depth > 0), default=1.0)


def _listed(found: Sequence[Layer]) -> Markup:
    rows = [
        [
            name(layer.name),
            plain(layer.op),
            plain(units.count_text(layer.params)),
            plain(units.bytes_text(layer.bytes)),
            plain(units.count_text(layer.macs)),
            plain(layer.precision),
        ]
        for layer in found[:_MOST_ROWS]
    ]
    note = f"{len(found) - _MOST_ROWS} more stand in report.json." if len(found) > _MOST_ROWS else ""
    table = grid(
        "Layers, in the file's order", ["layer", "operator", "parameters", "weights", "MACs", "precision"], rows, note=note, class_="wide figures"
    )
    return lines([folded("Numbers of these layers", table)]) if rows else NONE
