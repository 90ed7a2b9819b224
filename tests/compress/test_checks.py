"""What cannot be done later is refused before anything is taught, by a dry run as by the run itself."""

from pathlib import Path
from typing import get_args

import pytest
import torch

from edgekd import compress as verbs
from edgekd.compress import teacher as teachers
from edgekd.compress.plan import Work, looking
from edgekd.errors import UsageError
from edgekd.limit import Limit
from edgekd.phases import Phase
from edgekd.recipe import Recipe, Teacher
from edgekd.terms import FeatureTerm, Heads, Tokens
from tests.compress.jobs import recipe, workplace


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workplace."""
    return workplace(tmp_path_factory.mktemp("work"))


def asked(term: FeatureTerm, *, named: bool) -> Recipe:
    """A student of convolutions that is to learn by a transformer's term, of a teacher that is named or edgekd's own."""
    changes = {} if named else {"teacher": None}
    return recipe(phase=(Phase(name="deep", epochs=1, terms=(term,)),), **changes)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("term", [Tokens(), Heads()])
def test_a_dry_run_refuses_what_the_run_refuses(base: Path, term: FeatureTerm, named: bool) -> None:
    """In the same words, whoever teaches; and the run has taught nobody by then."""
    said = []
    for verb in (lambda job: verbs.plan(job, base=base), lambda job: verbs.distill(job, folder=base / "run", base=base)):
        with pytest.raises(UsageError, match=f"the term {type(term).__name__.lower()} ") as caught:
            verb(asked(term, named=named))
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert not list((base / "run").glob("teach*"))


def test_a_dry_run_fetches_nothing(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The teacher that edgekd would take by itself is as large without its published weights."""
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *args, **kwargs: pytest.fail("weights were fetched"))
    with looking(recipe(teacher=None, size=(72, 72)), base) as story:
        network, phases = teachers.planned(story)
    assert (network.name, network.classes, phases is not None) == ("resnet50", len(story.classes), True)


def test_limits_that_nothing_will_be_measured_for(base: Path) -> None:
    """Said before anything is taught: a target that is not measured on, and a class that is not there."""
    limits = (Limit(target="jetson-orin-nano", latency_p50="9 ms"), Limit(recall={"cat": "90 %", "left": "50 %"}), Limit(target="cpu", size="1 MB"))
    lines = verbs.plan(recipe(limit=limits, on={"cpu": "local"}), base=base)
    said = [line for line in lines if line.startswith("note      a limit is on")]
    assert said == [
        "note      a limit is on jetson-orin-nano, and this run measures on cpu: add it under [on], or with --on",
        "note      a limit is on the recall of cat, which is no class of npz:images.npz",
    ]


def test_a_dry_run_of_one_step_says_no_more(base: Path) -> None:
    """Teaching has no students and no files, distilling no files; what both do is said alike."""
    job = recipe(teacher=Teacher(model="nets.py:wide"))
    said = {work: verbs.plan(job, base=base, work=work) for work in get_args(Work)}
    roles = {work: [line.split()[0] for line in lines if line[0] != " "] for work, lines in said.items()}
    assert (roles["teach"], roles["distill"]) == (["data", "teacher", "memory", "time"], ["data", "teacher", "student", "memory", "time"])
    assert {work: any("files of about" in line for line in lines) for work, lines in said.items()} == {
        "compress": True,
        "distill": False,
        "teach": False,
    }
    assert [any("its answers" in line for line in said[work]) for work in ("teach", "distill", "compress")] == [False, True, True]
