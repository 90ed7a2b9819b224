"""Limits: where they are found, how they are typed, what is refused."""

from pathlib import Path

import msgspec
import pytest

from edgekd.errors import MissingError, RecipeError, UsageError
from edgekd.gate.limits import Budget, Found, bounds, limits_from, nearest_budget, read_budget, recipe_limits
from edgekd.limit import Limit
from tests.report.sample import sample_report


def test_the_nearest_budget_file_counts(tmp_path: Path) -> None:
    """Looked for upward; a pyproject.toml without [tool.edgekd] is passed by."""
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[tool.edgekd]\nlimit = [{ size = "3 MB" }]\n')
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.other]\nx = 1\n")
    assert nearest_budget(deep) == Found(tmp_path / "pyproject.toml", Budget(limit=[Limit(size="3 MB")]))
    (tmp_path / "a" / "budget.toml").write_text('[[limit]]\nsize = "1 MB"\n')
    assert nearest_budget(deep) == Found(tmp_path / "a" / "budget.toml", Budget(limit=[Limit(size="1 MB")]))
    assert nearest_budget(Path("/")) is None


def test_limits_as_typed() -> None:
    """Plain quantities, classes and growth, about one artifact on one target."""
    typed = ["size=4MB", "recall.cat=90%", "recall.big dog = 80 %", "growth.size=1%"]
    assert limits_from(typed, artifact="int8", target="cpu") == [
        Limit(artifact="int8", target="cpu", size="4MB", recall={"cat": "90%", "big dog": "80 %"}, growth={"size": "1%"})
    ]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["size"], "--limit takes QUANTITY=VALUE, as in size=4MB or recall.CLASS=90%, got 'size'"),
        (["size="], "--limit takes QUANTITY=VALUE"),
        (["size.x=1", "size=2"], "--limit size stands twice; keep one"),
        (["size=1", "size=2"], "--limit size stands twice; keep one"),
        (["artifact=1"], "--limit artifact stands twice; keep one"),
    ],
)
def test_limits_that_do_not_read(typed: list[str], message: str) -> None:
    """Each says what is accepted."""
    with pytest.raises(UsageError) as caught:
        limits_from(typed)
    assert message in str(caught.value)


def test_an_unknown_quantity_is_refused_with_the_nearest() -> None:
    """On the command line as in a file."""
    with pytest.raises(RecipeError, match=r"--limit: unknown key 'latency_p5' in limit.*did you mean 'latency_p"):
        limits_from(["latency_p5=1ms"])


def test_a_budget_file_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    """By its path, with the nearest known key."""
    (tmp_path / "budget.toml").write_text('[[limits]]\nsize = "1 MB"\n')
    with pytest.raises(RecipeError, match=r"budget\.toml: unknown key 'limits'; did you mean 'limit'"):
        nearest_budget(tmp_path)


def test_a_budget_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    """Nor passed over."""
    (tmp_path / "budget.toml").write_text("size: 4 MB")
    with pytest.raises(RecipeError, match=r"budget\.toml is not TOML"):
        nearest_budget(tmp_path)


def test_a_budget_file_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    """--budget names one."""
    with pytest.raises(MissingError, match="no budget at"):
        read_budget(tmp_path / "nope.toml")
    with pytest.raises(MissingError, match="no budget at"):
        read_budget(tmp_path)
    (tmp_path / "b.toml").write_text('[[limit]]\nsize = "1 MB"\n')
    assert read_budget(tmp_path / "b.toml").budget.limit == [Limit(size="1 MB")]


def test_two_budgets_in_one_folder_are_refused(tmp_path: Path) -> None:
    """Neither is passed over in silence."""
    (tmp_path / "budget.toml").write_text('[[limit]]\nsize = "1 MB"\n')
    (tmp_path / "pyproject.toml").write_text('[tool.edgekd]\nlimit = [{ size = "3 MB" }]\n')
    with pytest.raises(RecipeError, match=r"limits in budget\.toml and in pyproject\.toml .*Keep one"):
        nearest_budget(tmp_path)


def test_one_quantity_bounded_twice_is_refused(tmp_path: Path) -> None:
    """Of one artifact on one target in one file; a warning beside a limit, and another target, are no repeats."""
    file = tmp_path / "budget.toml"
    file.write_text('[[limit]]\nsize = "1 MB"\n[[limit]]\nparams = 3\nsize = "2 MB"\n')
    with pytest.raises(RecipeError, match=r"budget\.toml bounds size of shipped twice, by '1 MB' and '2 MB'\. Keep one\."):
        read_budget(file)
    file.write_text('[[limit]]\nsize = "1 MB"\n[[limit]]\nsize = "900 kB"\nwarn = true\n[[limit]]\nsize = "2 MB"\ntarget = "cpu"\n')
    assert len(read_budget(file).budget.limit) == 3


def test_two_hosts_have_limits_of_their_own(tmp_path: Path) -> None:
    """As `budget init` writes them where two machines measured."""
    file = tmp_path / "budget.toml"
    file.write_text('[[limit]]\nhost = "Orin"\nlatency_p50 = "1 ms"\n[[limit]]\nhost = "Xavier"\nlatency_p50 = "2 ms"\n')
    assert len(read_budget(file).budget.limit) == 2


def test_a_budget_that_cannot_be_read_is_not_passed_over(tmp_path: Path) -> None:
    """A symlink loop in its place is an error, and so is a table of another kind."""
    (tmp_path / "budget.toml").symlink_to("budget.toml")
    with pytest.raises(OSError, match="symbolic links"):
        nearest_budget(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "pyproject.toml").write_text("[tool]\nedgekd = 3\n")
    with pytest.raises(RecipeError, match=r"pyproject\.toml: expected `object`, got `int`"):
        nearest_budget(tmp_path / "a")


def test_the_recipes_own_limits() -> None:
    """Those that the report's recipe has, and one that does not read by the report's name."""
    report = sample_report()
    limited = msgspec.structs.replace(report, recipe={"limit": [{"artifact": "int8", "size": "400 kB"}]})
    assert recipe_limits(limited) == [Limit(artifact="int8", size="400 kB")]
    assert recipe_limits(report) == []
    with pytest.raises(RecipeError, match="the recipe in the report of sample: unknown key 'sise'"):
        recipe_limits(msgspec.structs.replace(report, recipe={"limit": [{"sise": 1}]}))


def test_operators_and_layers_as_typed() -> None:
    """A list of all that may occur, and a count by precision."""
    (limit,) = limits_from(["operators=Conv, Relu,Gemm", "layers.fp32=2", "opset=20"])
    assert (limit.operators, limit.layers, limit.opset) == (["Conv", "Relu", "Gemm"], {"fp32": "2"}, "20")


def test_what_a_limit_bounds() -> None:
    """Each quantity with its bound, and nothing that only selects."""
    limit = Limit(artifact="int8", host="orin", reason="x", warn=True, size=1, recall={"cat": 0.9}, growth={"size": 0.0}, operators=["Conv"])
    assert bounds(limit) == {"size": 1, "recall.cat": 0.9, "growth.size": 0.0, "operators": ["Conv"]}


CAMERA = (
    'name = "cam-2"\ndescription = "ours"\nruntime = "onnxruntime"\nprovider = "CPUExecutionProvider"\nprecisions = ["fp32"]\nint8 = "int8-cpu"\n'
)


def test_a_target_of_ones_own_is_meant_by_its_name(tmp_path: Path) -> None:
    """FILE.toml is relative to the budget that names it, wherever one stands; other names stay as they are, known or not."""
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci" / "camera.toml").write_text(CAMERA)
    (tmp_path / "ci" / "budget.toml").write_text('[[limit]]\ntarget = "camera.toml"\nsize = "1 MB"\n[[limit]]\ntarget = "tpu"\nsize = "1 MB"\n')
    found = read_budget(tmp_path / "ci" / "budget.toml")
    assert [limit.target for limit in found.budget.limit] == ["cam-2", "tpu"]
    assert found.own_targets == {"cam-2": str(tmp_path / "ci" / "camera.toml")}
    (tmp_path / "ci" / "pyproject.toml").write_text('[tool.edgekd]\nlimit = [{ target = "camera.toml", size = "1 MB" }]\n')
    assert read_budget(tmp_path / "ci" / "pyproject.toml").budget.limit[0].target == "cam-2"


def test_a_target_of_ones_own_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """With the path at which it was looked for; two names of one target are one."""
    file = tmp_path / "budget.toml"
    file.write_text('[[limit]]\ntarget = "camera.toml"\nsize = "1 MB"\n[[limit]]\ntarget = "cam-2"\nsize = "2 MB"\n')
    with pytest.raises(MissingError, match=r"there is none at .*camera\.toml\. A path in a recipe or a budget is relative to that file's folder"):
        read_budget(file)
    (tmp_path / "camera.toml").write_text(CAMERA)
    with pytest.raises(RecipeError, match="bounds size of shipped twice"):
        read_budget(file)


def test_a_pyproject_without_tables_of_tools_is_passed_by(tmp_path: Path) -> None:
    """Whatever stands under `tool`."""
    (tmp_path / "budget.toml").write_text('[[limit]]\nsize = "1 MB"\n')
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "pyproject.toml").write_text("tool = 3\n")
    found = nearest_budget(tmp_path / "a")
    assert found is not None
    assert found.file == tmp_path / "budget.toml"


def test_parts_of_the_teachers_as_typed() -> None:
    """Under their table's name."""
    (limit,) = limits_from(["relative.size=25%", "relative.latency=50%"])
    assert limit.relative == {"size": "25%", "latency": "50%"}
    assert bounds(limit) == {"relative.size": "25%", "relative.latency": "50%"}
