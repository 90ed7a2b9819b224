"""edgekd.compress.commented: a recipe's text with what there is to say of it."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from edgekd.compress.commented import WIDTH, commented
from edgekd.limit import Limit
from edgekd.phases import Augment, Phase, Subset, Temperature, Train
from edgekd.preprocess import Stated
from edgekd.recipe import Recipe, Student, Teacher
from edgekd.recipefile import decode_recipe
from edgekd.terms import Label as LabelTerm

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12)
LIMITS = st.builds(Limit, size=st.none() | st.just("4 MB"), recall=st.dictionaries(NAMES, st.floats(0, 1), max_size=2))
RECIPES = st.builds(
    Recipe,
    data=NAMES,
    size=st.none() | st.tuples(st.integers(1, 999), st.integers(1, 999)),
    teacher=st.none()
    | st.builds(
        Teacher,
        model=NAMES,
        weights=st.none() | NAMES,
        preprocess=st.none()
        | st.just(Stated(colour="grey"))
        | st.just(Stated(size=(8, 9), mean=(0.1, 1e-9, 0.3), std=(1.0, 2.0, 3e20), colour="bgr")),
        classes=st.none() | NAMES | st.lists(NAMES, max_size=3),
    ),
    student=st.none() | st.lists(st.builds(Student, model=NAMES), max_size=2).map(tuple),
    on=st.dictionaries(NAMES, NAMES | st.just(""), max_size=3),
    train=st.builds(
        Train,
        batch=st.none() | st.integers(2, 512),
        views=st.integers(0, 9),
        augment=st.none() | st.builds(Augment, crop=st.integers(0, 8), flip=st.booleans()),
        prior=st.sampled_from(["data", "uniform"]) | st.dictionaries(NAMES, st.floats(0, 1), min_size=1, max_size=2),
    ),
    phase=st.just(Recipe().phase)
    | st.builds(
        lambda name, heat, subset: (Phase(name=name, epochs=0.1, terms=(LabelTerm(smoothing=0.1),), temperature=heat, subset=subset),),
        st.from_regex(r"[A-Za-z0-9._-]+", fullmatch=True),
        st.floats(0.1, 9) | st.just(Temperature(start=3, end=1, shape="linear")),
        st.none() | st.just(Subset()),
    ),
    limit=st.lists(LIMITS, max_size=2).map(tuple),
)
REMARKS = st.text(st.characters(exclude_categories=()), max_size=200)
KEYS = ("", "data", "size", "teacher", "train", "train.views", "phase.0", "phase.0.epochs", "limit.0", "limit.0.size", "on", "student.1", "export")


@given(recipe=RECIPES, remarks=st.dictionaries(st.sampled_from(KEYS), st.lists(REMARKS, max_size=2)))
def test_it_reads_back_whatever_is_in_it(recipe: Recipe, remarks: dict[str, list[str]]) -> None:
    """Names and remarks may hold quotes, line ends, control characters and half of a surrogate pair (remarks only)."""
    assert decode_recipe(commented(recipe, remarks)) == recipe


def test_the_default_recipe_has_nothing_to_say() -> None:
    """What is as by default is left out."""
    assert commented(Recipe(), {}).strip() == ""


def test_remarks_stand_over_what_they_speak_of() -> None:
    """A key that is spoken of is written though it be as by default; one without a value leaves its remark alone; a table's stands over its head."""
    recipe = Recipe(data="npz:a.npz", student=(Student(model="a"),), limit=(Limit(size="1 MB"),))
    remarks = {
        "": ["Top."],
        "data": ["One.", "Two."],
        "size": ["Open."],
        "student.0": ["Small."],
        "train.views": ["Views."],
        "limit.0": ["Bound."],
        "limit.0.size": ["Bytes."],
    }
    assert commented(recipe, remarks) == (
        '# Top.\n\n# One.\n# Two.\ndata = "npz:a.npz"\n\n# Open.\n\n# Small.\n[[student]]\nmodel = "a"\n\n'
        '[train]\n# Views.\nviews = 8\n\n# Bound.\n[[limit]]\n# Bytes.\nsize = "1 MB"\n'
    )


def test_what_people_look_for_is_written_though_as_by_default() -> None:
    """Mean and std that were stated, a phase's temperature, whether images are mirrored; a loss has its name."""
    recipe = Recipe(
        teacher=Teacher(model="a", weights="w.pth", preprocess=Stated(mean=(0.5,), std=(0.5,))),
        train=Train(augment=Augment()),
        phase=(Phase(name="one", epochs=2, terms=(LabelTerm(),)),),
    )
    text = commented(recipe, {})
    assert "preprocess = { mean = [0.5], std = [0.5] }" in text
    assert "augment = { crop = 0, flip = false }" in text
    assert 'terms = [{ loss = "label" }]\ntemperature = 3.0' in text
    follows = Phase(name="b", epochs=1, terms=(LabelTerm(),), temperature=Temperature(shape="student-confidence"))
    assert 'temperature = { start = 6.0, end = 0.8, shape = "student-confidence" }' in commented(Recipe(phase=(follows,)), {})


def test_comments_are_folded_and_cannot_end_early() -> None:
    """A long remark takes several lines of a hundred characters or so, each of them a comment; what would steer a terminal is replaced."""
    text = commented(Recipe(), {"data": ["word " * 60 + "\nsize = [1, 1]\x1b[31m\u202e"]})
    lines = [line for line in text.splitlines() if line and not line.startswith("data")]
    assert len(lines) > 2
    assert all(line.startswith("# ") and len(line) <= WIDTH and line.isprintable() for line in lines)
    assert decode_recipe(text).size is None


def test_an_empty_table_is_a_plain_value() -> None:
    """No student, no target."""
    recipe = msgspec.structs.replace(Recipe(), student=(), on={})
    assert commented(recipe, {}) == "student = []\n\non = {}\n"
