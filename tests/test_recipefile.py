"""recipefile: TOML ⇄ structs, messages for what does not read, --set."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd import recipe, recipefile
from edgekd.errors import MissingError, RecipeError
from edgekd.limit import Limit
from edgekd.phases import Phase, Subset, Temperature, Train
from edgekd.preprocess import COLOURS, Stated
from edgekd.terms import Dist, Dkd, Feature, Heads, Kd, Label, Levels, Tokens, Values
from edgekd.toml import decode

positive = st.floats(1e-6, 1e6)
weights = st.floats(1e-3, 10)
words = st.text(max_size=10)
pairs = st.lists(st.tuples(words, words), max_size=2).map(tuple)
terms = st.one_of(
    st.builds(Label, weight=weights, smoothing=st.floats(0, 0.5)),
    st.builds(Kd, weight=weights, standardise=st.booleans()),
    st.builds(Dkd, weight=weights, alpha=weights, beta=weights),
    st.builds(Dist, weight=weights),
    st.builds(Heads, weight=weights, match=st.sampled_from(["groups", "nearest"]), pairs=pairs),
    st.builds(Values, weight=weights, relation_heads=st.none() | st.integers(1, 64), pairs=pairs),
    st.builds(Tokens, weight=weights, form=st.sampled_from(["hard", "soft"])),
)
temperatures = positive | st.builds(Temperature, start=positive, end=positive, shape=st.sampled_from(["linear", "cosine", "exponential"]))
phases = st.builds(
    Phase,
    name=st.from_regex(r"[A-Za-z0-9._-]{1,8}", fullmatch=True),
    epochs=positive,
    terms=st.lists(terms, min_size=1, max_size=3).map(tuple),
    temperature=temperatures,
    subset=st.none() | st.builds(Subset, by=st.sampled_from(["random", "balanced", "mixed"]), fraction=st.floats(0.01, 1)),
)
preprocesses = st.none() | st.builds(
    Stated, size=st.none() | st.tuples(st.integers(1, 512), st.integers(1, 512)), colour=st.none() | st.sampled_from(COLOURS)
)
recipes = st.builds(
    recipe.Recipe,
    data=words,
    teacher=st.none() | st.builds(recipe.Teacher, model=words, weights=st.none() | words, preprocess=preprocesses),
    student=st.none() | st.lists(st.builds(recipe.Student, model=words), max_size=2).map(tuple),
    seed=st.integers(0, 2**31),
    on=st.dictionaries(words, words, max_size=2),
    train=st.builds(Train, batch=st.integers(2, 512), prior=st.sampled_from(["data", "uniform"]) | st.dictionaries(words, positive, max_size=2)),
    phase=st.lists(phases, min_size=1, max_size=3, unique_by=lambda phase: phase.name).map(tuple),
    limit=st.lists(st.builds(Limit, size=st.none() | words | positive, recall=st.dictionaries(words, words, max_size=2)), max_size=2).map(tuple),
)

PHASE = '[[phase]]\nname = "a"\nepochs = 1\nterms = [{ loss = "kd" }]\n'


@given(recipes)
def test_a_recipe_reads_back_equal(asked: recipe.Recipe) -> None:
    """What is written to the run folder is what was asked for."""
    assert recipefile.decode_recipe(recipefile.encode_recipe(asked)) == asked


def test_no_student_is_not_the_same_as_an_empty_list() -> None:
    """Without the key edgekd picks one; with an empty list the teacher goes alone."""
    assert recipefile.decode_recipe("").student is None
    assert recipefile.decode_recipe("student = []").student == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data = ", "r.toml is not TOML: "),
        ("sead = 1", "r.toml: unknown key 'sead'; did you mean 'seed'?"),
        ("qqqq = 1", "r.toml: unknown key 'qqqq'; known keys: alone, assistants, channels, checkpoint_s, co_teacher, data, "),
        (PHASE + "epoch = 3", "r.toml: unknown key 'epoch' in phase[0]; did you mean 'epochs'?"),
        (PHASE.replace('"kd"', '"kd", alpha = 2'), "unknown key 'alpha' in phase[0].terms[0]; it belongs to loss = \"dkd\"; known"),
        (PHASE.replace('"kd"', '"dkd", wight = 2'), "unknown key 'wight' in phase[0].terms[0]; did you mean 'weight'?"),
        (
            PHASE.replace('"kd"', '"kdd"'),
            "'kdd' is no value for phase[0].terms[0].loss; it takes "
            "attention, contrast, dist, dkd, feature, heads, kd, label, levels, relation, review, tokens, values",
        ),
        (PHASE.replace('loss = "kd"', "weight = 1"), "the key 'loss' is missing in phase[0].terms[0]"),
        (PHASE + 'subset = { by = "rand" }', "'rand' is no value for phase[0].subset.by; it takes balanced, confident, hard, mixed, random"),
        (PHASE + "temperature = { start = 3, end = 1, shap = 1 }", "unknown key 'shap' in phase[0].temperature; did you mean 'shape'?"),
        ("[teacher]\nweights = 'a.pt'", "the key 'model' is missing in teacher"),
        ("[teacher]\nmodel = 3", "expected `str`, got `int` (at teacher.model)"),
        ("[teacher]\nmodel = 'a'\npreprocess = { means = [0.5] }", "unknown key 'means' in teacher.preprocess; did you mean 'mean'?"),
        (
            "[[phase]]\nname = 'a'\nepochs = 1\nterms = [{ loss = 'attention', form = 'hard' }]",
            "'hard' is no value for phase[0].terms[0].form; it takes sigmoid, squares",
        ),
        ("[[limit]]\nsizes = '4 MB'", "unknown key 'sizes' in limit[0]; did you mean 'size'?"),
        ("channels = 2", "2 is no value for channels; it takes 1, 3"),
    ],
)
def test_what_does_not_read_names_the_place_and_what_would_do(text: str, words: str) -> None:
    """The text is a person's, so the message is in a person's words."""
    with pytest.raises(RecipeError) as caught:
        recipefile.decode_recipe(text, "r.toml")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "place", "value"),
    [
        ("phase.0.epochs=2", ("phase", 0, "epochs"), 2.0),
        ("phase.1.subset.fraction=0.5", ("phase", 1, "subset", "fraction"), 0.5),
        ("teacher.model=resnet56", ("teacher", "model"), "resnet56"),
        ("train.ema = 0.99", ("train", "ema"), 0.99),
        ("data=npz:a=b.npz", ("data",), "npz:a=b.npz"),
        ('on={ cpu = "" }', ("on", "cpu"), ""),
        ("alone=true", ("alone",), True),
    ],
)
def test_a_setting_reaches_its_place(setting: str, place: tuple[Any, ...], value: object) -> None:
    """VALUE is TOML, or bare text."""
    found: Any = recipefile.override(recipe.Recipe(), [setting])
    for step in place:
        found = found[step] if isinstance(found, (tuple, dict)) else getattr(found, step)
    assert found == value


def test_settings_leave_the_recipe_itself_alone() -> None:
    """Recipes are frozen."""
    asked = recipe.Recipe()
    recipefile.override(asked, ["phase.0.epochs=2", "on.orin=user@orin"])
    assert asked == recipe.Recipe()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("epochs", "--set takes KEY=VALUE, got 'epochs', as in --set phase.0.epochs=30"),
        ("phase.7.epochs=1", "--set phase.7.epochs=1: phase has entries 0 to 1, got '7'"),
        (
            "phase.1.terms.0.weight=1",
            "--set phase.1.terms.0.weight=1: phase.1.terms has no entries of its own here. Give it whole, as in --set 'phase.1.terms=[{ ... }]'",
        ),
        ("phase.x.epochs=1", "--set phase.x.epochs=1: phase has entries 0 to 1, got 'x'"),
        (
            "seed.x=1",
            "--set seed.x=1: seed is a plain value and has no 'x' in it. Where a table may stand, give it whole, as in --set 'seed={ x = ... }'",
        ),
        ("phase.0.epochs=inf", "--set: a phase's epochs must be above 0 and finite, got inf (at phase[0])"),
        ("train.optimizer.lr=inf", "--set: a learning rate must be above 0 and finite, got inf (at train.optimizer)"),
        ("teacher=resnet14", '--set: expected `object | null`, got `str` (at teacher). Write { model = "resnet14" }'),
        ("student=resnet8", '--set: expected `array | null`, got `str` (at student). Write [{ model = "resnet8" }]'),
        ("phase.0.terms=kd", '--set: expected `array`, got `str` (at phase[0].terms). Write [{ loss = "kd" }]'),
        ("train.prior=unifrom", "--set: 'unifrom' is no value for train.prior; it takes data, uniform, or a table"),
        ("phase.0.epoch=1", "--set: unknown key 'epoch' in phase[0]; did you mean 'epochs'?"),
        ("phase.0.epochs=many", "--set: expected `float`, got `str` (at phase[0].epochs)"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(setting: str, words: str) -> None:
    """With the place, as in a file."""
    with pytest.raises(RecipeError) as caught:
        recipefile.override(recipe.Recipe(), [setting])
    assert str(caught.value) == words


def test_reading_a_file(tmp_path: Path) -> None:
    """Its name stands in the message when it does not read."""
    file = tmp_path / "job.toml"
    with pytest.raises(MissingError, match=r"no recipe at .*job\.toml: No such file or directory\. `edgekd recipe > job\.toml` writes one"):
        recipefile.read_recipe(file)
    file.write_bytes(b"data = '\xff'")
    with pytest.raises(RecipeError, match=r"job\.toml is not UTF-8 text: invalid start byte at byte 8"):
        recipefile.read_recipe(file)
    file.write_text("seed = 4\n")
    assert recipefile.read_recipe(file).seed == 4


def test_of_a_term_what_is_set_stands_there() -> None:
    """Its loss and weight always, an option where it is not the default; the whole reads back equal."""
    terms = (Label(weight=0.5, smoothing=0.1), Levels(), Levels(spread=(1.0,)), Feature(pairs=(("stage1", "stage2"),)))
    text = recipefile.encode_recipe(recipe.Recipe(phase=(Phase(name="one", epochs=1, terms=terms),)))
    assert decode(text, "recipe.toml")["phase"][0]["terms"] == [
        {"loss": "label", "weight": 0.5, "smoothing": 0.1},
        {"loss": "levels", "weight": 1.0},
        {"loss": "levels", "weight": 1.0, "spread": [1.0]},
        {"loss": "feature", "weight": 1.0, "pairs": [["stage1", "stage2"]]},
    ]
    assert recipefile.decode_recipe(text).phase[0].terms == terms
