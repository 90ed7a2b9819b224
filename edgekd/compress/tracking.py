"""Training's figures for those who keep a tracker: TensorBoard, MLflow, Weights & Biases, through Accelerate's own trackers.

In: which of them, the run's folder, its recipe, and who else is told of events. Out: a listener that passes every event on and hands the figures of
training to the trackers, under a run of theirs for each stage that teaches a network, as distill/resnet20. They write below RUN/log, and where their
own settings say. No trainer knows of them and no result depends on them: one that fails is named, and the run goes on without it.
"""

import contextlib
import difflib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from edgekd.distill.ranks import launched
from edgekd.errors import MissingError, UsageError
from edgekd.events import Emit, Event, Note, StageFinished, StageStarted, Trained
from edgekd.recipe import Recipe
from edgekd.recipefile import recipe_table

if TYPE_CHECKING:
    from accelerate.tracking import GeneralTracker

Tracker: TypeAlias = Literal["tensorboard", "mlflow", "wandb"]
"""Each is the name of its package too."""
FOLDER = "log"
"""Where in the run's folder they write."""


@contextlib.contextmanager
def tracking(names: Sequence[Tracker], folder: Path, recipe: Recipe, emit: Emit) -> Iterator[Emit]:
    """`emit`, with the figures of training going to the named trackers too; the recipe is their configuration.

    Raises:
        UsageError: no such tracker. MissingError: its package is not installed. Both before anything is done.
    """
    refuse(names)
    if not names or launched()[0]:
        yield emit
        return
    listener = _Listener(list(dict.fromkeys(names)), folder, recipe, emit)
    try:
        yield listener.take
    finally:
        listener.close()


def refuse(names: Sequence[str]) -> None:
    """Refuse trackers that are not known, or whose package is not there; raises as `tracking`."""
    known = get_args(Tracker)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise UsageError(f"--log takes {', '.join(known)}, got {name!r}.{f' Did you mean {near[0]!r}?' if near else ''}")
        if importlib.util.find_spec(name) is None:
            raise MissingError(f"--log {name} needs the package {name}, and it is not installed. Install it with: pip install {name}")


class _Listener:
    """Hands on every event, and training's figures to the trackers, whose runs last as long as the stage that teaches."""

    def __init__(self, names: Sequence[Tracker], folder: Path, recipe: Recipe, emit: Emit) -> None:
        self._names, self._folder, self._emit = list(names), folder, emit
        self._settings = flat(recipe_table(recipe))
        self._stage = ""
        self._open: dict[Tracker, GeneralTracker] = {}

    def take(self, event: Event) -> None:
        """Pass an event on, and note its figures where it has some."""
        self._emit(event)
        if isinstance(event, StageStarted):
            self.close()
            self._stage = event.stage
        elif isinstance(event, StageFinished) and event.stage == self._stage:
            self.close()
        elif isinstance(event, Trained):
            for name in tuple(self._names):
                with self._or_without(name):
                    self._opened(name, event.step).log(figures(event), step=event.step)

    def close(self) -> None:
        """End the runs that are open."""
        for name in tuple(self._open):
            with self._or_without(name):
                self._open.pop(name).finish()

    def _opened(self, name: Tracker, step: int) -> "GeneralTracker":
        if name not in self._open:
            self._open[name] = OPEN[name](self._folder, self._stage, step, self._settings)
        return self._open[name]

    @contextlib.contextmanager
    def _or_without(self, name: Tracker) -> Iterator[None]:
        """Keep stdout for the result, and leave a tracker out that fails: training is worth more than its log."""
        try:
            with contextlib.redirect_stdout(sys.stderr):
                yield
        except Exception as error:
            self._names.remove(name)
            self._open.pop(name, None)
            reason = (str(error).strip().splitlines() or ["no reason given"])[0].rstrip(".")
            text = f"{name} failed and is left out from here on: {type(error).__name__}: {reason}. All figures stand in events.jsonl too."
            self._emit(Note(text=text, level="warning"))


def figures(event: Trained) -> dict[str, float]:
    """What is tracked of a step, by name; shares and accuracies in [0, 1]."""
    found = {
        "loss": event.loss,
        "temperature": event.temperature,
        "learning_rate": event.learning_rate,
        "valid_accuracy": event.valid_accuracy,
        "images_per_s": event.images_per_s,
        "epoch": event.epoch,
        **{f"share/{term}": share for term, share in event.shares.items()},
        **{f"gradient_share/{term}": share for term, share in event.gradient_shares.items()},
    }
    return {name: value for name, value in found.items() if value is not None}


def flat(table: Any, prefix: str = "") -> dict[str, bool | str | int | float]:
    """Nested tables as one, with a recipe's own paths: {"phase.0.epochs": 21}."""
    if not isinstance(table, (dict, list)):
        return {prefix: table}
    items = table.items() if isinstance(table, dict) else enumerate(table)
    return {key: value for name, item in items for key, value in flat(item, f"{prefix}.{name}" if prefix else str(name)).items()}


# One of each ----------------------------------------------------------------------------------------------------------


def _tensorboard(folder: Path, stage: str, step: int, settings: Mapping[str, Any]) -> "GeneralTracker":
    """Goes on in the stage's folder, where what a killed sitting wrote from `step` on gives way."""
    from accelerate.tracking import TensorBoardTracker

    place = folder / FOLDER / "tensorboard"
    resumed = (place / stage).is_dir()
    tracker = TensorBoardTracker(stage, str(place), purge_step=step if resumed else None)
    tracker.start()
    if not resumed:
        tracker.store_init_configuration(dict(settings))
    return tracker


def _mlflow(folder: Path, stage: str, step: int, settings: Mapping[str, Any]) -> "GeneralTracker":
    """A run in the experiment that bears the run folder's name; each sitting has its own, with the steps counted on."""
    import mlflow
    from accelerate.tracking import MLflowTracker

    (folder / FOLDER).mkdir(exist_ok=True)
    if "MLFLOW_TRACKING_URI" not in os.environ:
        mlflow.set_tracking_uri(f"sqlite:///{(folder / FOLDER).resolve() / 'mlflow.db'}")  # it refuses plain files
    tracker = MLflowTracker(experiment_name=folder.resolve().name, run_name=stage)
    tracker.start()
    tracker.store_init_configuration(dict(settings))
    return tracker


def _wandb(folder: Path, stage: str, step: int, settings: Mapping[str, Any]) -> "GeneralTracker":
    """A run in the project edgekd, grouped by the run folder's name; each sitting has its own, with the steps counted on."""
    from accelerate import PartialState
    from accelerate.tracking import WandBTracker

    PartialState()  # the other two begin it themselves
    (folder / FOLDER).mkdir(exist_ok=True)
    tracker = WandBTracker("edgekd", group=folder.resolve().name, name=stage, dir=str(folder / FOLDER))
    tracker.start()
    tracker.store_init_configuration(dict(settings))
    return tracker


OPEN: dict[Tracker, Callable[[Path, str, int, Mapping[str, Any]], "GeneralTracker"]] = {
    "tensorboard": _tensorboard,
    "mlflow": _mlflow,
    "wandb": _wandb,
}
