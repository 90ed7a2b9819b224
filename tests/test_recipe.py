"""recipe: TOML ⇄ structs, messages for what does not read, --set."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd import recipe
from edgekd.errors import MissingError, RecipeError
from edgekd.record import Preprocess

positive = st.floats(1e-6, 1e6)
weights = st.floats(1e-3, 10)
words = st.text(max_size=10)
terms = st.one_of(
    st.builds(recipe.Label, weight=weights, smoothing=st.floats(0, 0.5)),
    st.builds(recipe.Kd, weight=weights, standardise=st.booleans()),
    st.builds(recipe.Dkd, weight=weights, alpha=weights, beta=weights),
    st.builds(recipe.Dist, weight=weights),
)
temperatures = positive | st.builds(recipe.Temperature, start=positive, end=positive, shape=st.sampled_from(["linear", "cosine", "exponential"]))
phases = st.builds(
    recipe.Phase,
    name=st.from_regex(r"[A-Za-z0-9._-]{1,8}", fullmatch=True),
    epochs=positive,
    terms=st.lists(terms, min_size=1, max_size=3).map(tuple),
    temperature=temperatures,
    subset=st.none() | st.builds(recipe.Subset, by=st.sampled_from(["random", "balanced", "mixed"]), fraction=st.floats(0.01, 1)),
)
preprocesses = st.none() | st.builds(Preprocess, size=st.none() | st.tuples(st.integers(1, 512), st.integers(1, 512)))
recipes = st.builds(
    recipe.Recipe,
    data=words,
    teacher=st.none() | st.builds(recipe.Teacher, model=words, weights=st.none() | words, preprocess=preprocesses),
    student=st.none() | st.lists(st.builds(recipe.Student, model=words), max_size=2).map(tuple),
    seed=st.integers(0, 2**31),
    on=st.dictionaries(words, words, max_size=2),
    train=st.builds(
        recipe.Train, batch=st.integers(2, 512), prior=st.sampled_from(["data", "uniform"]) | st.dictionaries(words, positive, max_size=2)
    ),
    phase=st.lists(phases, min_size=1, max_size=3, unique_by=lambda phase: phase.name).map(tuple),
    limit=st.lists(st.builds(recipe.Limit, size=st.none() | words | positive, recall=st.dictionaries(words, words, max_size=2)), max_size=2).map(
        tuple
    ),
)

PHASE = '[[phase]]\nname = "a"\nepochs = 1\nterms = [{ loss = "kd" }]\n'


@given(recipes)
def test_a_recipe_reads_back_equal(asked: recipe.Recipe) -> None:
    """What is written to the run folder is what was asked for."""
    assert recipe.decode_recipe(recipe.encode_recipe(asked)) == asked


def test_the_default_recipe_is_two_phases() -> None:
    """T=3 on all data, then T falling to 0.5 on a subset."""
    transfer, refine = recipe.Recipe().phase
    assert (transfer.temperature, transfer.subset) == (3.0, None)
    assert refine.subset is not None
    assert refine.temperature == recipe.Temperature(start=3.0, end=0.5, shape="cosine")
    assert transfer.soft
    assert refine.soft
    assert recipe.decode_recipe("") == recipe.Recipe()


def test_no_student_is_not_the_same_as_an_empty_list() -> None:
    """Without the key edgekd picks one; with an empty list the teacher goes alone."""
    assert recipe.decode_recipe("").student is None
    assert recipe.decode_recipe("student = []").student == ()


def test_a_phase_of_labels_only_is_not_soft() -> None:
    """It needs no teacher."""
    assert not recipe.decode_recipe(PHASE.replace('"kd"', '"label"')).phase[0].soft


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data = ", "r.toml is not TOML: "),
        ("sead = 1", "r.toml: unknown key 'sead'; did you mean 'seed'?"),
        ("qqqq = 1", "r.toml: unknown key 'qqqq'; known keys: alone, channels, checkpoint_s, data, "),
        (PHASE + "epoch = 3", "r.toml: unknown key 'epoch' in phase[0]; did you mean 'epochs'?"),
        (PHASE.replace('"kd"', '"kd", alpha = 2'), "unknown key 'alpha' in phase[0].terms[0]; it belongs to loss = \"dkd\"; known"),
        (PHASE.replace('"kd"', '"dkd", wight = 2'), "unknown key 'wight' in phase[0].terms[0]; did you mean 'weight'?"),
        (PHASE.replace('"kd"', '"kdd"'), "'kdd' is no value for phase[0].terms[0].loss; it takes dist, dkd, kd, label"),
        (PHASE.replace('loss = "kd"', "weight = 1"), "the key 'loss' is missing in phase[0].terms[0]"),
        (PHASE + 'subset = { by = "rand" }', "'rand' is no value for phase[0].subset.by; it takes balanced, confident, hard, mixed, random"),
        (PHASE + "temperature = { start = 3, end = 1, shap = 1 }", "unknown key 'shap' in phase[0].temperature; did you mean 'shape'?"),
        ("[teacher]\nweights = 'a.pt'", "the key 'model' is missing in teacher"),
        ("[teacher]\nmodel = 3", "expected `str`, got `int` (at teacher.model)"),
        ("[teacher]\nmodel = 'a'\npreprocess = { means = [0.5] }", "unknown key 'means' in teacher.preprocess; did you mean 'mean'?"),
        ("[[limit]]\nsizes = '4 MB'", "unknown key 'sizes' in limit[0]; did you mean 'size'?"),
        ("channels = 2", "2 is no value for channels; it takes 1, 3"),
    ],
)
def test_what_does_not_read_names_the_place_and_what_would_do(text: str, words: str) -> None:
    """The text is a person's, so the message is in a person's words."""
    with pytest.raises(RecipeError) as caught:
        recipe.decode_recipe(text, "r.toml")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (PHASE.replace("epochs = 1", "epochs = 0"), "a phase's epochs must be above 0, got 0.0 (at phase[0])"),
        (PHASE.replace('[{ loss = "kd" }]', "[]"), "a phase needs at least one term, got ()"),
        (PHASE.replace('"kd"', '"kd", weight = 0'), "a phase's weights must add up to more than 0, got [0.0]"),
        (PHASE + "temperature = 0", "a temperature must be above 0, got 0.0"),
        (PHASE + "temperature = { start = 3, end = 0 }", "a temperature must be above 0, got [3.0, 0.0]"),
        (PHASE + "subset = { fraction = 1.5 }", "a subset's fraction must be above 0 and at most 1, got 1.5"),
        (PHASE + PHASE, "phases need names of their own, got ['a', 'a']"),
        (PHASE.replace('"a"', '"a/b"'), "a phase's name is made of letters, digits, '.', '_' and '-', got 'a/b'"),
        ("phase = []", "a recipe needs at least one phase, got ()"),
        ("[train]\nbatch = 1", "a batch needs 2 images or more, got 1"),
        ("[train]\nviews = -1", "views must be 0 or more, got -1"),
        ("[train]\nema = 1", "ema must be at least 0 and below 1, got 1.0"),
        ("[train.optimizer]\nlr = 0", "a learning rate must be above 0, got 0.0"),
        ("[export]\nopset = 17", "opset must be 18 to 24, got 17"),
        ("[export]\nbatch = 0", 'batch must be 1 or more, or "dynamic", got 0'),
        ("[export]\ncalibration_images = 0", "calibration_images must be 1 or more, got 0"),
        ("[train]\nthreads = 0", "threads must be 1 or more, got 0"),
        ("[train]\nteacher_epochs = 0", "teacher_epochs must be above 0, got 0.0"),
        ("[train.optimizer]\nbody_lr = 0", "a learning rate must be above 0, got 0.0"),
        ("[train.optimizer]\nmomentum = 1", "momentum must be at least 0 and below 1, got 1.0"),
        ("[train.optimizer]\nweight_decay = -1", "weight_decay must be 0 or more, got -1.0"),
        ("[train.augment]\ncrop = -1", "crop is padding of 0 pixels or more, got -1"),
        ("[train.augment]\nscale = 0", "scale is a share of the area above 0 and at most 1, got 0.0"),
        ("[train.augment]\ncolour = 2", "colour must be 0 to 1, got 2.0"),
        (PHASE.replace('"kd"', '"label", smoothing = 1'), "smoothing must be at least 0 and below 1, got 1.0"),
        ("checkpoint_s = -1", "checkpoint_s must be 0 or more, got -1.0"),
    ],
)
def test_values_that_cannot_be_are_refused(text: str, words: str) -> None:
    """The rule and the value received."""
    with pytest.raises(RecipeError) as caught:
        recipe.decode_recipe(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "place", "value"),
    [
        ("phase.0.epochs=2", ("phase", 0, "epochs"), 2.0),
        ("phase.1.terms.0.weight=0.5", ("phase", 1, "terms", 0, "weight"), 0.5),
        ("teacher.model=resnet56", ("teacher", "model"), "resnet56"),
        ("train.ema = 0.99", ("train", "ema"), 0.99),
        ("data=npz:a=b.npz", ("data",), "npz:a=b.npz"),
        ('on={ cpu = "" }', ("on", "cpu"), ""),
        ("alone=true", ("alone",), True),
    ],
)
def test_a_setting_reaches_its_place(setting: str, place: tuple[Any, ...], value: object) -> None:
    """VALUE is TOML, or bare text."""
    found: Any = recipe.override(recipe.Recipe(), [setting])
    for step in place:
        found = found[step] if isinstance(found, (tuple, dict)) else getattr(found, step)
    assert found == value


def test_settings_leave_the_recipe_itself_alone() -> None:
    """Recipes are frozen."""
    asked = recipe.Recipe()
    recipe.override(asked, ["phase.0.epochs=2", "on.orin=user@orin"])
    assert asked == recipe.Recipe()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("epochs", "--set takes KEY=VALUE, got 'epochs', as in --set phase.0.epochs=30"),
        ("phase.7.epochs=1", "--set phase.7.epochs=1: phase has entries 0 to 1, got '7'"),
        ("phase.x.epochs=1", "--set phase.x.epochs=1: phase has entries 0 to 1, got 'x'"),
        ("seed.x=1", "--set seed.x=1: seed is a plain value and has no 'x' in it"),
        ("phase.0.epoch=1", "--set: unknown key 'epoch' in phase[0]; did you mean 'epochs'?"),
        ("phase.0.epochs=many", "--set: expected `float`, got `str` (at phase[0].epochs)"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(setting: str, words: str) -> None:
    """With the place, as in a file."""
    with pytest.raises(RecipeError) as caught:
        recipe.override(recipe.Recipe(), [setting])
    assert str(caught.value) == words


def test_reading_a_file(tmp_path: Path) -> None:
    """Its name stands in the message when it does not read."""
    file = tmp_path / "job.toml"
    with pytest.raises(MissingError, match=r"no recipe at .*job\.toml: No such file or directory\. `edgekd recipe > job\.toml` writes one"):
        recipe.read_recipe(file)
    file.write_bytes(b"data = '\xff'")
    with pytest.raises(RecipeError, match=r"job\.toml is not UTF-8 text: invalid start byte at byte 8"):
        recipe.read_recipe(file)
    file.write_text("seed = 4\n")
    assert recipe.read_recipe(file).seed == 4
