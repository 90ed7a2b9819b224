"""The assistants of a run: networks between teacher and students, each taught by the one before it (Mirzadeh et al. 2020, arXiv:1902.03393).

In: an open `Story` and who answers the first of them. Out: who answers the students. Each is a stage of its own and learns by the same phases as a
student; it gets no files, and its score on the test images is taken once, when it has learnt.
"""

from itertools import pairwise

from edgekd.compress import teacher
from edgekd.compress.ensemble import Answerer, single
from edgekd.compress.lesson import built
from edgekd.compress.story import Story
from edgekd.compress.students import phases_of, planned_between, stepped
from edgekd.compress.teacher import doubt_chance
from edgekd.distill.inside import Inside
from edgekd.distill.within import token_pairs
from edgekd.events import silent
from edgekd.recipe import Student


def check(story: Story) -> None:
    """Refuse terms that compare features which a pair of networks does not have, before the first of them is taught.

    Raises:
        UsageError: as `Inside`.
    """
    phases = phases_of(story)
    if not any(phase.looks_inside for phase in phases) or story.previous is not None:
        return  # nothing is compared, or earlier students have rules of their own
    students = [built(story, spec, replace_head=True) for spec in story.recipe.student or ()]
    if story.recipe.by_answers or story.recipe.co_teacher:
        for learner in [*planned_between(story), *students]:
            token_pairs(learner)  # no one network teaches: of what looks inside, `check_terms` lets tokens pass alone
        return
    line = [teacher.planned(story)[0], *planned_between(story)]
    for taught_by, learner in [*pairwise(line), *((line[-1], student) for student in students)]:
        Inside(learner, taught_by, phases, seed=story.recipe.seed, emit=silent)


def last(story: Story, answerer: Answerer, *, do: bool) -> Answerer | None:
    """Who answers the students: the last assistant, else who was given; None where an assistant does not stand and nothing is to be done.

    What an assistant has learnt is for the device's class frequencies already, so that nothing is taken off its answers.
    """
    for model in story.recipe.assistants:
        step = stepped(story, Student(model=model), answerer, "assistant", do=do)
        if step is None:
            return None
        told = story.report.networks[-1]
        doubt_chance(story, f"the assistant {told.name}", told.valid_accuracy, longer="--epochs N", by_prior=True)
        answerer = single(step.learner)
    return answerer
