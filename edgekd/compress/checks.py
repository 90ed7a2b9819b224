"""What a run could not do later, refused before anything is taught; a dry run asks the same."""

from edgekd.compress import assistants, ensemble, files, inherit, students
from edgekd.compress.story import Story


def check(story: Story) -> None:
    """Refuse networks, terms and options that do not fit each other or the images; what was decided for them is said.

    Raises:
        UsageError: as the `check` of each part.
    """
    ensemble.check(story)
    students.check(story)
    assistants.check(story)
    inherit.check(story)
    files.doubt(story)
