"""recipe: the default, and values that cannot be."""

import pytest

from edgekd import phases, recipe, recipefile
from edgekd.errors import RecipeError
from edgekd.files import sha256_json

NAME = '"a"'
PHASE = '[[phase]]\nname = "a"\nepochs = 1\nterms = [{ loss = "kd" }]\n'


def test_the_default_recipe_is_two_phases() -> None:
    """T=3 on all data, then T falling to 0.5 on a subset."""
    transfer, refine = recipe.Recipe().phase
    assert (transfer.temperature, transfer.subset) == (3.0, None)
    assert refine.subset is not None
    assert refine.temperature == phases.Temperature(start=3.0, end=0.5, shape="cosine")
    assert all(phase.soft for many in (False, True) for phase in phases.termed((transfer, refine), phases.usual_terms(many=many)))
    assert recipefile.decode_recipe("") == recipe.Recipe()


def test_a_recipe_that_names_nothing_keeps_its_hash() -> None:
    """Stages of runs that were made before a key was added stand: such a key is unset where it is not named. Another default is another hash."""
    assert sha256_json(recipe.Recipe()) == "82cf5571826f0b4ca8a544237aaf225a571c3d8252c27215893e89fdb1272cd0"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (PHASE.replace("epochs = 1", "epochs = 0"), "a phase's epochs must be above 0 and finite, got 0.0 (at phase[0])"),
        (PHASE.replace('"kd"', '"kd", weight = 0'), "a phase's weights must add up to more than 0, got [0.0]"),
        (PHASE.replace('"kd"', '"kd", weight = -0.5'), "weight of a loss must be 0 or more and finite, got -0.5 (at phase[0])"),
        (PHASE.replace('"kd"', '"dist", beta = -1'), "beta of a loss must be 0 or more and finite, got -1.0 (at phase[0])"),
        (PHASE.replace('"kd"', '"relation", angle = inf'), "angle of a loss must be 0 or more and finite, got inf (at phase[0])"),
        (PHASE + "temperature = 0", "a temperature must be above 0, got 0.0"),
        (PHASE + "temperature = inf", "a temperature must be finite, got inf"),
        (PHASE + "temperature = { start = 3, end = inf }", "a temperature must be finite, got [3.0, inf]"),
        (PHASE + "temperature = { start = nan }", "a temperature must be above 0, got [nan, 0.8]"),
        (
            PHASE + 'temperature = { start = 3, end = 3, shape = "learned" }',
            "a learned temperature needs start and end apart, as in { start = 6.0, end = 0.8 }, got [3.0, 3.0]",
        ),
        (PHASE.replace('"kd"', '"levels", spread = []'), "spread needs at least one factor, as in [1.0], got []"),
        (PHASE.replace('"kd"', '"levels", spread = [1, 0]'), "the factors of spread must be above 0 and finite, got [1.0, 0.0]"),
        (PHASE + "temperature = { start = 3, end = 0 }", "a temperature must be above 0, got [3.0, 0.0]"),
        (PHASE + "subset = { fraction = 1.5 }", "a subset's fraction must be above 0 and at most 1, got 1.5"),
        (PHASE + PHASE, "phases need names of their own, got ['a', 'a']"),
        (PHASE.replace('"a"', '"a/b"'), "a phase's name is made of letters, digits, '.', '_' and '-', got 'a/b'"),
        (
            PHASE + "quantised = true\n" + PHASE.replace('"a"', '"b"'),
            "quantised phases are the last, as learning without rounding undoes them, got ['a', 'b']",
        ),
        (
            PHASE + "quantised = true\n[export]\nprecisions = ['fp32', 'fp16']",
            "a quantised phase is for an int8 file, so export.precisions needs \"int8\", got ['fp32', 'fp16']",
        ),
        (PHASE + "quantised = 1", "expected `bool`, got `int` (at phase[0].quantised)"),
        (
            "teacher = { model = 'a', preprocess = { mean = [123.7], std = [58.4] } }",
            "mean and std are of values in [0, 1]: divide those of 0 to 255 by 255, got 'mean = [123.7], std = [58.4]' (at teacher.preprocess)",
        ),
        ("teacher = { model = 'a', preprocess = { mean = [0.5] } }", "mean and std stand together, got 'mean = [0.5]' (at teacher.preprocess)"),
        (
            "teacher = { model = 'a', preprocess = { mean = [0], std = [0] } }",
            "std must be above 0 in every channel, got [0.0] (at teacher.preprocess)",
        ),
        ("phase = []", "a recipe needs at least one phase, got ()"),
        ("[domain]\ntarget = ''", "domain.target names images, as in folder:night, got ''"),
        ("domain = { target = 'folder:n', weight = 0 }", "domain.weight must be above 0 and finite, got 0.0"),
        ("domain = { target = 'folder:n', weight = inf }", "domain.weight must be above 0 and finite, got inf"),
        ("domain = { target = 'folder:n', confidence = -1 }", "domain.confidence must be 0 or more, and finite, got -1.0"),
        ("domain = { target = 'folder:n', temperature = 2 }", "domain.temperature must be above 0 and at most 1, got 2.0"),
        ("domain = { target = 'folder:n', decay = 1 }", "domain.decay must be at least 0 and below 1, got 1.0"),
        ("domain = { target = 'folder:n' }\n[train]\nema = 0.5", "train.ema computes BatchNorm statistics anew of the data alone"),
        ("domain = { target = 'folder:n' }\n[train]\nreestimate_batchnorm = true", "train.reestimate_batchnorm computes BatchNorm statistics anew"),
        (
            "student = []\ndomain = { target = 'folder:n' }",
            "domain is for students, so it does not go with --no-student (student = []), got 'folder:n'",
        ),
        ("task = 'multilabel'\ndomain = { target = 'folder:n' }", "domain is about one label an image, so task must be classify, got 'multilabel'"),
        ("[train]\nbatch = 1", "a batch needs 2 images or more, got 1"),
        ("[train]\nviews = -1", "views must be 0 or more, got -1"),
        ("[train]\nema = 1", "ema must be at least 0 and below 1, got 1.0"),
        ("[train.optimizer]\nlr = 0", "a learning rate must be above 0 and finite, got 0.0"),
        ("[export]\nopset = 17", "opset must be 18 to 24, got 17"),
        ("[export]\nbatch = 0", 'batch must be 1 or more, or "dynamic", got 0'),
        ("[export]\ncalibration_images = 0", "calibration_images must be 1 or more, got 0"),
        ("task = 'multilabel'\n[export]\nsoftmax = true", "export.softmax is about one label an image; leave it out"),
        ("[train]\nthreads = 0", "threads must be 1 or more, got 0"),
        ("[train]\nteacher_epochs = 0", "teacher_epochs must be above 0 and finite, got 0.0"),
        ('[train.optimizer]\nname = "adamw"', "adamw takes a learning rate below 0.1, as lr = 0.001, got 0.1"),
        ("[train.optimizer]\nbody_lr = 0", "a learning rate must be above 0 and finite, got 0.0"),
        ("[train.optimizer]\nmomentum = 1", "momentum must be at least 0 and below 1, got 1.0"),
        ("[train.optimizer]\nweight_decay = -1", "weight_decay must be 0 or more and finite, got -1.0"),
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
        recipefile.decode_recipe(text)
    assert words in str(caught.value)
