"""Where the bytes and the time of a file are: its layers as treemaps, and their numbers. Nothing where a report does not hold them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgekd import units
from edgekd.measurements import Measurement
from edgekd.record import Artifact, Layer, Report
from edgekd.report.classes import shown
from edgekd.report.markup import NONE, Markup, clean, folded, grid, joined, lines, name, percent, plain, tag
from edgekd.report.operators import operators, told
from edgekd.report.pictures import anchored, keyed
from edgekd.report.text import firm

_WIDTH, _HEIGHT = 640.0, 240.0
"""px: the shape for which tiles come out as squares; a page may stretch it."""
_NARROWEST = 320.0
_MOST_TILES, _MOST_ROWS = 60, 200

Tile = tuple[float, float, float, float]
"""left, top, width, height"""


@dataclass(frozen=True)
class Part:
    """What a tile stands for: its size in bytes or ms, the class that colours it, and what the legend calls that."""

    label: str
    size: float
    kind: str
    key: str


def layers(report: Report) -> list[tuple[str, Markup]]:
    """For the files that ship, under their names; of bare files for each."""
    found = [(artifact.name, lines(_figures(report, artifact))) for artifact in _drawn(report)]
    return [(title, figures) for title, figures in found if figures]


def timed(report: Report) -> bool:
    """Whether it is known of any of these files where its time goes."""
    names = {artifact.name for artifact in _drawn(report)}
    return any(operators(each) for each in report.measurements if each.artifact in names)


def _drawn(report: Report) -> list[Artifact]:
    return shown(report) or [each for each in report.artifacts if each.role == "file" or each.name in report.shipped.values()]


def _figures(report: Report, artifact: Artifact) -> Iterator[Markup]:
    """Bytes and times beside each other, then their numbers."""
    measured = [each for each in report.measurements if each.artifact == artifact.name and operators(each)]
    pictures = [_weights(artifact)] if any(layer.bytes for layer in artifact.layers) else []
    pictures += [_times(artifact, each) for each in measured]
    yield tag("div", *pictures, class_="beside") if len(pictures) > 1 else joined(pictures)
    yield _listed(artifact.layers) if pictures else NONE
    yield from map(_timed, measured)


def _weights(artifact: Artifact) -> Markup:
    weighed = sorted((layer for layer in artifact.layers if layer.bytes), key=lambda layer: -layer.bytes)
    total, largest = sum(layer.bytes for layer in weighed), weighed[0]
    said = f"{len(weighed)} layers hold {units.bytes_text(total)} of weights; the largest is {largest.name} with {units.bytes_text(largest.bytes)}."
    parts = [Part(layer.name, layer.bytes, _kind(layer.precision), layer.precision) for layer in weighed]
    return _treemap(f"Weights by layer: {artifact.name}", said, parts, units.bytes_text)


def _times(artifact: Artifact, measurement: Measurement) -> Markup:
    found = operators(measurement)
    precisions = {layer.name: layer.precision for layer in artifact.layers}
    parts = []
    for each in sorted((each for each in found if each.ms > 0), key=lambda each: -each.ms):
        precision = precisions.get(each.name) if each.known else None
        parts.append(Part(each.name, each.ms, *((_kind(precision), precision) if precision else ("own", "the runtime's own"))))
    said = f"{told(measurement, found)} The slowest is {parts[0].label} with {units.ms_text(parts[0].size)}."
    return _treemap(f"Time by layer: {artifact.name} on {measurement.target}", said, parts, units.ms_text)


def _treemap(title: str, said: str, parts: Sequence[Part], text: units.Text) -> Markup:
    """Tiles of parts that fall in size, the smallest of many as one, with what they come to in words."""
    large, small = parts[:_MOST_TILES], parts[_MOST_TILES:]
    rest = sum(part.size for part in small)
    if rest:
        large = [*large, Part(f"{len(small)} more", rest, "other", "")]
    tiles = squared([float(part.size) for part in large], (0.0, 0.0, _WIDTH, _HEIGHT))
    drawn = [_box(tile, part, text) for part, tile in zip(large, tiles, strict=True)]
    svg = tag("svg", tag("title", plain(title)), tag("desc", plain(said)), *drawn, class_="tiles", height=_HEIGHT, role="img")
    keys = dict.fromkeys((part.kind, part.key) for part in large if part.key)
    key = keyed((tag("rect", x=-7, y=-7, width=14, height=14, class_=f"tile {kind}"), text) for kind, text in keys)
    return tag("figure", svg, tag("figcaption", tag("p", plain(firm(said)), class_="note"), key))


def _kind(precision: str) -> str:
    return "low" if "int8" in precision else "half" if "16" in precision else "full"


def _box(tile: Tile, part: Part, text: units.Text) -> Markup:
    left, top, width, height = (share / whole for share, whole in zip(tile, (_WIDTH, _HEIGHT, _WIDTH, _HEIGHT), strict=True))
    rect = tag("rect", x=percent(left), y=percent(top), width=percent(width), height=percent(height), class_=f"tile {part.kind}")
    size = text(part.size, 3)
    parts = [tag("title", plain(f"{part.label}: {size}")), rect]
    letters = int((width * _NARROWEST - 10) / 7.2)
    if letters >= 6 and height * _HEIGHT >= 34:
        words = [tag("text", plain(_end(part.label, letters)), x=6, y=15), tag("text", plain(size), x=6, y=30, class_="under")]
        parts.append(anchored(left, 1 - top, *words))
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


def _timed(measurement: Measurement) -> Markup:
    found = operators(measurement)
    rows = [[name(each.name), plain(each.op), plain(units.ms_text(each.ms)), plain(units.percent_text(each.share))] for each in found[:_MOST_ROWS]]
    note = f"{len(found) - _MOST_ROWS} more stand in report.json." if len(found) > _MOST_ROWS else ""
    caption = f"Median of {max(len(each.us) for each in measurement.layer_times)} profiled runs on {measurement.target}, in the order they ran"
    table = grid(caption, ["layer", "runs as", "median", "share"], rows, note=note, class_="wide figures")
    return folded(f"Times of these layers on {measurement.target}", table)
