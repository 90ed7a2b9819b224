"""Sustained load on the files of a run that ship, on their targets: a stage of its own, done when it is asked for.

In: an open `Story` whose files are timed and chosen. What stands of an earlier time is taken up as long as the files are the same.
"""

import msgspec

from edgekd.bench import Load, loaded, resolve, sustain
from edgekd.compress.story import Story
from edgekd.compress.timing import Wishes, where


class Loads(msgspec.Struct, frozen=True, kw_only=True):
    """What the load came to."""

    loads: list[Load]


def load(story: Story, wishes: Wishes) -> None:
    """Load each file that ships on a host for as many seconds as are wished, anew; 0 takes up what stands. Where nothing was scored, and so nothing
    ships, all that were timed."""
    report, seconds = story.report, wishes.sustained_s
    shipped = {(name, key.rpartition("/")[0]) for key, name in report.shipped.items()}
    hosts = {target.name for target, _ in resolve(story.recipe.on, story.base)}  # a device that was measured offline has none
    timed = [each for each in report.measurements if each.target in hosts]
    chosen = [each for each in timed if not shipped or (each.artifact, each.target) in shipped]
    key = {
        "files": [[each.artifact, each.target, report.artifact(each.artifact).sha256] for each in chosen],
        **where(story),
    }
    if not chosen or (not seconds and not story.run.stands("sustained", key)):
        return
    stage = story.run.stage("sustained", key, anew=seconds > 0)
    if not stage.done:
        files = [(report.artifact(each.artifact), each.target) for each in chosen]
        asked = [(artifact, story.run.folder / artifact.path, target) for artifact, target in files]
        loads = sustain(asked, story.recipe.on, seconds=seconds, settings=wishes.settings, python=wishes.python, base=story.base, emit=story.run.emit)
        stage.finish(Loads(loads=loads))
    story.add(measurements=loaded(report.measurements, stage.result(Loads).loads))
