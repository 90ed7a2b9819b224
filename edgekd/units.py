"""Text with units ⇄ numbers: "12 ms", "4 MiB", "1.2 points". The only place where numbers become text.

`parse_*` read what a person writes into a recipe or on a command line; `*_text` write what a person reads, `some` a list of names. Inside, sizes are
bytes, times ms, energies joules, and shares and differences of shares fractions. Nothing here knows which of them is too much: that is budget's.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Context, Decimal
from typing import TypeAlias

from edgekd.errors import UsageError

_MINUS = "−"
_ALL = 28
NOTHING = "–"
"""Stands where there is no number."""

_BYTES = {
    "B": Decimal(1),
    "kB": Decimal(10**3),
    "MB": Decimal(10**6),
    "GB": Decimal(10**9),
    "TB": Decimal(10**12),
}
_BINARY = {"KiB": Decimal(2**10), "MiB": Decimal(2**20), "GiB": Decimal(2**30), "TiB": Decimal(2**40)}
_TIMES = {"ns": Decimal("1e-6"), "µs": Decimal("1e-3"), "ms": Decimal(1), "s": Decimal(1000)}
_COUNTS = {"": Decimal(1), "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12)}
_ENERGIES = {"nJ": Decimal("1e-9"), "µJ": Decimal("1e-6"), "mJ": Decimal("1e-3"), "J": Decimal(1), "kJ": Decimal(1000)}
_PERCENT = {"%": Decimal("0.01"), "percent": Decimal("0.01"), "points": Decimal("0.01"), "point": Decimal("0.01")}

Text: TypeAlias = Callable[[float, int | None], str]
Quantity: TypeAlias = str | float
"""As a recipe holds it: text with a unit, or a plain number in the unit that the key's description names."""


# Text → numbers -------------------------------------------------------------------------------------------------------


def parse_bytes(text: Quantity) -> int:
    """Bytes in "400 kB" (1000), "4 MiB" (1024 × 1024) or a plain number; part of a byte is dropped.

    Raises:
        UsageError: not a size, or below 0.
    """
    units = {"": Decimal(1), "KB": Decimal(10**3), **_BYTES, **_BINARY}
    return int(_parse(text, units, "a size", "400 kB, 4 MB, 4 MiB or a number of bytes"))


def parse_time_ms(text: Quantity) -> float:
    """Milliseconds in "12 ms", "800 µs", "1.5 s" or a plain number of ms; raises as `parse_bytes`."""
    units = {"": Decimal(1), "us": Decimal("1e-3"), "μs": Decimal("1e-3"), "min": Decimal(60_000), **_TIMES}
    return float(_parse(text, units, "a time", "12 ms, 800 µs, 1.5 s, 2 min or a number of ms"))


def parse_count(text: Quantity) -> int:
    """A whole number in "1.2M", "270k" or a plain number; raises as `parse_bytes`."""
    return int(_parse(text, {"K": Decimal(1000), **_COUNTS}, "a count", "270k, 1.2M, 3G or a whole number"))


def parse_energy(text: Quantity) -> float:
    """Joules in "3 mJ" or a plain number of joules; raises as `parse_bytes`."""
    units = {"": Decimal(1), "uJ": Decimal("1e-6"), "μJ": Decimal("1e-6"), **_ENERGIES}
    return float(_parse(text, units, "an energy", "3 mJ, 0.2 J or a number of joules"))


def parse_ratio(text: Quantity) -> float:
    """A factor in "4x", "4×" or a plain number; raises as `parse_bytes`."""
    return float(_parse(text, {"": Decimal(1), "x": Decimal(1), "×": Decimal(1)}, "a factor", "4x or 4.0"))


def parse_fraction(text: Quantity, most: float = 1.0, *, one: bool = True) -> float:
    """A fraction in "90 %", "1.2 points" (0.012) or a plain 0.9. It may be below 0: a drop of "-1 point" is a gain.

    `most` is the largest size that makes sense. A plain number above 1 is refused, as nobody can tell whether 90 meant 90 %; and where `one` is
    not all, as of a change, 1 too.

    Raises:
        UsageError: not a fraction, or larger than `most` either way.
    """
    accepted = "90 %, 1.2 points or a fraction such as 0.9"
    value = _parse(text, {"": Decimal(1), **_PERCENT}, "a share", accepted, negative=True)
    bare = not isinstance(text, str) or re.search(r"[^\d\s.eE+_−-]", text) is None
    whole = bare and abs(value) == 1
    if abs(value) > (1 if bare else Decimal(most)) or (whole and not one):
        hint = f" Did you mean {text} % or {text} point{'' if whole else 's'}?" if bare and abs(value) <= 100 * Decimal(most) else ""
        if whole:
            raise UsageError(f"a share is written as {accepted}, and {text!r} may be 1 % or all, which is 100 %.{hint}")
        raise UsageError(f"a share is written as {accepted}, at most {percent_text(1 if bare else most, 0)}, got {text!r}.{hint}")
    return float(value)


def _parse(text: Quantity, units: Mapping[str, Decimal], what: str, accepted: str, *, negative: bool = False) -> Decimal:
    """The number times its unit, exactly as written: "1.1 kB" is 1100 and not a hair more."""
    written = text.strip().replace(_MINUS, "-") if isinstance(text, str) else "" if isinstance(text, bool) else repr(text)
    match = re.fullmatch(r"([+-]?(?:\d+(?:_\d+)*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?)\s*(\D*)", written)
    if match is None or match[2] not in units or math.isinf(float(match[1])):
        hint = " Write a decimal point and no thousands separators." if "," in written else ""
        raise UsageError(f"{what} is written as {accepted}, got {text!r}.{hint}")
    value = Decimal(match[1]) * units[match[2]]
    if value < 0 and not negative:
        raise UsageError(f"{what} is never below 0, got {text!r}. Write it as {accepted}.")
    return value


# Numbers → text -------------------------------------------------------------------------------------------------------
#
# Each takes None as "there is none". `digits` are significant, but for shares, where they are decimals; None: all that the number has.


def bytes_text(size: float | None, digits: int | None = 3) -> str:
    """Bytes as in "1.08 MB"; kB is 1000."""
    return _scaled(size, _BYTES, digits)


def ms_text(ms: float | None, digits: int | None = 3) -> str:
    """Milliseconds as in "12.3 ms", "85 µs", "1.2 s"."""
    return _scaled(ms, _TIMES, digits)


def count_text(count: float | None, digits: int | None = 3) -> str:
    """A count as in "270k", "41.3M"."""
    return _scaled(count, _COUNTS, digits, gap="")


def energy_text(joules: float | None, digits: int | None = 3) -> str:
    """Joules as in "3.1 mJ"."""
    return _scaled(joules, _ENERGIES, digits)


def ratio_text(ratio: float | None, digits: int | None = 3) -> str:
    """A factor as in "4.02×"."""
    return _with(ratio, lambda value: f"{_significant(value, digits)}×")


def number_text(number: float | None, digits: int | None = 3) -> str:
    """A number that has no unit, as a negative log-likelihood."""
    return _with(number, lambda value: _significant(value, digits))


def percent_text(fraction: float | None, digits: int | None = 1) -> str:
    """A fraction as in "93.4 %"; `digits` decimals."""
    return _with(fraction, lambda value: f"{_decimals(value, digits)} %")


def points_text(fraction: float | None, digits: int | None = 1) -> str:
    """A difference of two fractions as in "1.2 points"; `digits` decimals."""

    def text(value: float) -> str:
        number = _decimals(value, digits)
        return f"{number} point{'' if float(number.replace(_MINUS, '-')) in (1, -1) else 's'}"

    return _with(fraction, text)


def seconds_text(seconds: float | None) -> str:
    """A span that a person waits, as in "0.4 s", "48 s", "3 min 20 s", "2 h 5 min"."""

    def text(value: float) -> str:
        if value < 9.95:
            return f"{_decimals(value * 0.01, 1)} s"
        whole = round(value)
        if whole < 60:
            return f"{whole} s"
        first, second, large, small = (whole // 60, whole % 60, "min", "s")
        if whole >= 3600:
            first, second, large, small = (whole // 3600, whole % 3600 // 60, "h", "min")
        return f"{first} {large}" + (f" {second} {small}" if second else "")

    return _with(seconds, text)


def beside(value: float, bound: float, text: Text, digits: int = 3) -> str:
    """`value` as text, with as many digits beyond `digits` as it takes to stand on its own side of `bound`.

    So no rounding hides an overshoot: 400,001 bytes never read as 400 kB beside a limit of 400 kB.
    """
    for more in range(digits, digits + 18):
        shown = text(value, more)
        if not abs(value) < _READS_BACK or _side(float(_parse(shown, _EVERY, "", "", negative=True)), bound) == _side(value, bound):
            return shown
    return text(value, None)


def some(names: Iterable[object], most: int = 8) -> str:
    """The first of some names, and how many there are more: "a, b and 3 more"; "none" where there are none."""
    listed = [str(name) for name in names]
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "") or "none"


def span_text(low: str, high: str) -> str:
    """An interval as in "1.2 to 1.4 ms"; the unit is said once where both have it."""
    number, _, unit = low.partition(" ")
    same = unit and unit.removesuffix("s") == high.partition(" ")[2].removesuffix("s")
    return f"{number if same else low} to {high}"


_READS_BACK = 1e300
"""Below it a number's text is a number again, whatever its unit; no measurement comes near."""

_EVERY = {"×": Decimal(1), **_BYTES, **_TIMES, **_COUNTS, **_ENERGIES, **_PERCENT}
"""Every unit that a number is written with; no name stands for two of them."""


def _side(value: float, bound: float) -> int:
    return (value > bound) - (value < bound)


def _with(value: float | None, text: Callable[[float], str]) -> str:
    if value is None:
        return NOTHING
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    return text(value)


def _scaled(value: float | None, units: Mapping[str, Decimal], digits: int | None, gap: str = " ") -> str:
    """A number in the largest unit in which it is at least 1 after rounding; units stand in rising order."""

    def text(value: float) -> str:
        name, factor = next(iter(units.items()))
        if value == 0:
            name, factor = next(unit for unit in units.items() if unit[1] == 1)
        for unit, size in units.items():
            if abs(Context(prec=digits or _ALL).plus(_exact(value))) >= size:
                name, factor = unit, size
        whole = factor == 1 and value == int(value)
        return f"{_significant(_exact(value) / factor, None if whole else digits)}{gap}{name}".rstrip()

    return _with(value, text)


def _exact(value: float | Decimal) -> Decimal:
    """The shortest decimal that reads back as the number: 0.1 is one tenth."""
    return Decimal(repr(float(value) + 0.0)) if isinstance(value, float) else Decimal(value)


def _significant(value: float | Decimal, digits: int | None) -> str:
    """To `digits` significant digits, never fewer than the whole part has: 12345 stays 12345. None: all there are, without closing zeros."""
    exact = _exact(value)
    whole = exact.adjusted() + 1 if exact else 1
    rounded = Context(prec=max(digits or _ALL, whole, 1)).plus(exact)
    if digits is not None:
        decimals = max(0, digits - (rounded.adjusted() + 1 if rounded else 1))
        return f"{rounded:.{decimals}f}".replace("-", _MINUS)
    text = f"{rounded:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", _MINUS)


def _decimals(fraction: float, digits: int | None) -> str:
    """Hundredths with fixed decimals; −0.0 is 0.0."""
    hundredths = _exact(fraction) * 100
    text = _significant(hundredths, None) if digits is None else f"{hundredths:.{digits}f}"
    return text.lstrip("-") if not text.strip("-0.") else text.replace("-", _MINUS)
