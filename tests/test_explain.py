"""explain: the words for what is wrong in a table."""

from typing import Any, Literal

import msgspec
import pytest

from edgekd.errors import RecipeError
from edgekd.explain import explain
from edgekd.gate.limits import limits_of


class Circle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="form", tag="circle"):
    """A tagged struct."""

    radius: float


class Square(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="form", tag="square"):
    """Another one, with a key of its own."""

    side: float


class Drawing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds them."""

    shapes: list[Circle | Square] = []
    named: dict[str, Circle | Square] = {}
    pen: Literal["thin", "thick"] = "thin"
    scale: Literal[1, 2] = 1


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"shaps": []}, "unknown key 'shaps'; did you mean 'shapes'?"),
        ({"radios": 1}, "unknown key 'radios'; did you mean 'radius' of named or shapes?"),
        ({"scael": 1}, "unknown key 'scael'; did you mean 'scale'?"),
        ({"zzz": 1}, "unknown key 'zzz'; known keys: named, pen, scale, shapes"),
        ({"shapes": [{"form": "circle", "radios": 1}]}, "unknown key 'radios' in shapes[0]; did you mean 'radius'?"),
        (
            {"shapes": [{"form": "circle", "radius": 1}, {"form": "circle", "side": 1}]},
            "unknown key 'side' in shapes[1]; it belongs to form = \"square\"; known keys: form, radius",
        ),
        ({"named": {"a": {"form": "circle", "radios": 1}}}, "unknown key 'radios' in named[...]; did you mean 'radius'?"),
        ({"shapes": [{"form": "cube"}]}, "'cube' is no value for shapes[0].form; it takes circle, square"),
        ({"shapes": [{"radius": 1}]}, "the key 'form' is missing in shapes[0]"),
        ({"shapes": [{"form": "circle"}]}, "the key 'radius' is missing in shapes[0]"),
        ({"pen": "broad"}, "'broad' is no value for pen; it takes thick, thin"),
        ({"scale": 3}, "3 is no value for scale; it takes 1, 2"),
        ({"shapes": 3}, "expected `array`, got `int` (at shapes)"),
        ({"shapes": "circle"}, 'expected `array`, got `str` (at shapes). Write [{ form = "circle" }]'),
        ({"named": {"a": "circle"}}, "expected `object`, got `str` (at named[...])"),
        ({"named": {"a": {"form": "circle", "radius": "wide"}}}, "expected `float`, got `str` (at named[...].radius)"),
    ],
)
def test_it_says_where_what_and_what_would_do(table: dict[str, Any], words: str) -> None:
    """Each way a table can be wrong has its sentence."""
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(table, Drawing)
    assert explain(caught.value, Drawing, table) == words


def test_of_names_as_near_the_first_is_meant() -> None:
    """The median, and not a tail."""
    with pytest.raises(RecipeError, match="did you mean 'latency_p50'"):
        limits_of({"latency": "5 ms"}, "--limit")
