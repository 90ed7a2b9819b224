"""The assistants of a run: networks between teacher and students, each taught by the one before it (Mirzadeh et al. 2020, arXiv:1902.03393).

In: an open `Story` and who answers the first of them. Out: who answers the students. Each is a stage of its own and learns by the same phases as a
student; it gets no files, and its score on the test images is taken once, when it has learnt.
"""

from edgekd.compress.ensemble import Answerer, single
from edgekd.compress.story import Story
from edgekd.compress.students import stepped
from edgekd.compress.teacher import doubt_chance
from edgekd.recipe import Student


def last(story: Story, answerer: Answerer, *, do: bool) -> Answerer | None:
    """Who answers the students: the last assistant, else who was given; None where an assistant does not stand and nothing is to be done.

    What an assistant has learnt is for the device's class frequencies already, so that nothing is taken off its answers.
    """
    for model in story.recipe.assistants:
        step = stepped(story, Student(model=model), answerer, "assistant", do=do)
        if step is None:
            return None
        told = story.report.networks[-1]
        doubt_chance(story, f"the assistant {told.name}", told.valid_accuracy, longer="--epochs N")
        answerer = single(step.learner)
    return answerer
