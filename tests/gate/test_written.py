"""budget.toml as text: a first one, and tighter bounds in an existing one."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.budget.margin import Tightening
from edgekd.errors import RecipeError, UsageError
from edgekd.gate.limits import Budget, read_budget
from edgekd.gate.written import first_budget, tightened
from edgekd.limit import Limit
from edgekd.toml import decode

OLD = """# Agreed with the app's team.
check = ["m.onnx"]

[[limit]]   # what ships
artifact = "int8"
size = "4 MB"          # its flash is full
'params'=300_000
recall.cat = 0.5

[other]
size = "9 MB"

[[limit]]
size = '5 MB'
"""


def change(place: int, quantity: str, after: str) -> Tightening:
    """A bound to put in."""
    return Tightening(place, quantity, "", after, "")


def test_bounds_change_and_nothing_else() -> None:
    """Comments, order, other tables and other bounds stay; numbers become text with its unit."""
    text = tightened(OLD, Path("budget.toml"), [change(0, "size", "3 MB"), change(0, "params", "200k"), change(0, "recall.cat", "80 %")])
    expected = OLD.replace('size = "4 MB"  ', 'size = "3 MB"  ').replace("300_000", '"200k"').replace("recall.cat = 0.5", 'recall.cat = "80 %"')
    assert text == expected
    assert tightened(OLD, Path("budget.toml"), [change(1, "size", "4 MB")]) == OLD.replace("'5 MB'", '"4 MB"')


def test_in_a_pyproject_the_tables_bear_their_path() -> None:
    """[[tool.edgekd.limit]]."""
    text = '[project]\nname = "x"\n\n[[tool.edgekd.limit]]\nsize = "4 MB"\n'
    assert tightened(text, Path("pyproject.toml"), [change(0, "size", "3 MB")]) == text.replace("4 MB", "3 MB")


@pytest.mark.parametrize("text", ['limit = [{ size = "4 MB" }]\n', '[[limit]]\nsize = """4 MB"""\n', "[[limit]]\nrecall = { size = 1 }\nsize = [\n"])
def test_another_form_is_left_to_its_author(text: str) -> None:
    """With what to write; nothing is half done."""
    with pytest.raises(UsageError) as caught:
        tightened(text, Path("budget.toml"), [change(0, "size", "3 MB")])
    assert isinstance(caught.value, RecipeError) or "Write into it by hand: limit 1: size = '3 MB'" in str(caught.value)


words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=8)
named = st.none() | words.filter(bool)
limits = st.builds(
    Limit,
    artifact=st.just("shipped") | words,
    target=named,
    host=named,
    size=named,
    operators=st.lists(words, max_size=2),
    warn=st.booleans(),
)


@given(st.lists(limits, max_size=3), st.lists(words, max_size=2))
def test_a_first_budget_reads_back(asked: list[Limit], checked: list[str]) -> None:
    """Whatever names people give their files and machines."""
    asked = [limit for limit in asked if limit.artifact]
    text = first_budget(asked, checked, 0.1)
    assert msgspec.convert(decode(text, "budget.toml"), Budget) == Budget(check=checked, limit=asked)


def test_a_first_budget_says_how_to_go_on(tmp_path: Path) -> None:
    """Its default artifact needs no word."""
    file = tmp_path / "budget.toml"
    file.write_text(first_budget([Limit(target="cpu", size="366 kB")], ["runs/x"], 0.1))
    assert file.read_text() == (
        "# What was measured, and 10 % beyond it. `edgekd check` alone holds what is\n"
        "# named here to these limits; `edgekd budget tighten` lowers them as the model\n"
        "# shrinks. `reason` is printed where a limit breaks; `warn = true` fails none.\n"
        'check = ["runs/x"]\n\n[[limit]]\ntarget = "cpu"\nsize = "366 kB"\n'
    )
    assert read_budget(file).budget.check == ["runs/x"]
