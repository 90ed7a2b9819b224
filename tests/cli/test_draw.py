"""Events → lines and a live view."""

import io
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from edgekd.cli.draw import EVERY_S, Lines, View, bar, drawing, lasting_line, progress_line, trained_lines
from edgekd.events import Event, Note, PhaseStarted, Progress, StageFinished, StageStarted, Trained, Wrote


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def trained(**changes: Any) -> Trained:
    """An event in the middle of training, as long as they come."""
    usual: dict[str, Any] = {
        "network": "cifar-mobilenet-v2",
        "phase": "transfer",
        "step": 12_345,
        "steps": 99_999,
        "epoch": 12.4,
        "epochs": 40.0,
        "loss": 1.2345,
        "temperature": 3.0,
        "shares": {"kd": 0.88, "label": 0.12},
        "gradient_shares": {"kd": 0.7, "label": 0.3},
        "learning_rate": 0.1,
        "images_per_s": 12_345.6,
        "seconds_left": 80.0,
        "valid_accuracy": 0.912,
    }
    return Trained(**{**usual, **changes})


def test_training_says_all_that_is_asked_of_it() -> None:
    """Phase, epoch, temperature, shares, validation accuracy, images/s and time left stand in two lines."""
    assert trained_lines(trained()) == [
        "cifar-mobilenet-v2 transfer · epoch 12.4/40 · 1 min 20 s left",
        "T 3.00 · loss 1.234 · kd 88 % label 12 % · valid 91.2 % · 12,346 images/s",
    ]


def test_verbose_adds_the_gradients_shares() -> None:
    """-v shows who pulls at the logits."""
    assert "gradient kd 70 % label 30 %" in trained_lines(trained(), verbose=True)[1]


def test_a_hard_phase_has_no_temperature() -> None:
    """What is not there is left out."""
    assert trained_lines(trained(temperature=None, shares={}, valid_accuracy=None))[1] == "loss 1.234 · 12,346 images/s"


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (StageStarted(stage="teach"), "teach …"),
        (StageFinished(stage="teach", seconds=48.2), "teach: done in 48 s"),
        (StageFinished(stage="teach", seconds=48.2, reused=True), "teach: stood already"),
        (Note(text="the batch shrinks to 64"), "  the batch shrinks to 64"),
        (Note(text="2 images do not read", level="warning"), "  warning: 2 images do not read"),
        (PhaseStarted(network="resnet8", phase="refine", images=25_000, steps=1950), "  resnet8, phase refine: 25,000 images, 1,950 steps"),
        (Wrote(path="a.onnx", what="fp32"), None),
        (Progress(what="reading", done=1, total=2), None),
    ],
)
def test_lines_that_last(event: Event, line: str | None) -> None:
    """Each event's line; what only moves leaves none."""
    assert lasting_line(event) == line


def test_files_are_named_when_verbose() -> None:
    """-v names each file written."""
    assert lasting_line(Wrote(path="a.onnx", what="fp32"), verbose=True) == "  wrote a.onnx (fp32)"


def test_other_work_says_how_far_it_is() -> None:
    """Done, total, unit and time left."""
    assert progress_line(Progress(what="evaluate a", done=1000, total=10_000, seconds_left=3.0)) == "evaluate a: 1,000/10,000 images · 3.0 s left"


@pytest.mark.parametrize(("done", "total", "filled"), [(0, 10, 0), (5, 10, 10), (10, 10, 20), (11, 10, 20), (0, 0, 0)])
def test_a_bar_fills(done: int, total: int, filled: int) -> None:
    """As much as is done, never more than all."""
    assert bar(done, total).count("━") == filled


def test_plain_lines_about_one_network_come_seldom() -> None:
    """At most one every few seconds, and always the last."""
    stream, clock = io.StringIO(), Clock()
    lines = Lines(stream, clock=clock)
    for step in range(1, 11):
        clock.now = step
        lines.take(trained(step=step, steps=10))
    said = stream.getvalue().splitlines()
    assert len(said) == 2  # after five seconds, and the end
    assert all("epoch" in line and "loss" in line for line in said)


def test_progress_is_silent_until_it_takes_long() -> None:
    """Work that is done within seconds leaves no line."""
    stream, clock = io.StringIO(), Clock()
    lines = Lines(stream, clock=clock)
    lines.take(Progress(what="reading", done=1, total=9))
    assert stream.getvalue() == ""
    clock.now = EVERY_S
    lines.take(Progress(what="reading", done=5, total=9))
    assert stream.getvalue() == "  reading: 5/9 images · 5.0 s left\n"


def test_quiet_prints_nothing_and_still_knows_the_stages() -> None:
    """An interrupt under --quiet can say what is kept."""
    stream = io.StringIO()
    with drawing(stream, quiet=True) as drawer:
        for event in (StageStarted(stage="teach"), StageFinished(stage="teach", seconds=1), StageStarted(stage="distill")):
            drawer.take(event)
    assert stream.getvalue() == ""
    assert (drawer.finished, drawer.under_way) == (["teach"], "distill")


def test_a_pipe_gets_plain_lines() -> None:
    """No control codes where nobody can draw them."""
    stream = io.StringIO()
    with drawing(stream) as drawer:
        drawer.take(StageStarted(stage="teach"))
    assert stream.getvalue() == "teach …\n"


class Watched:
    """A live view on a terminal of 80 columns, a clock that a test moves, and what is printed above the moving lines."""

    def __init__(self) -> None:
        self.stream, self.clock = io.StringIO(), Clock()
        self.console = Console(file=self.stream, force_terminal=True, width=80, height=24, color_system=None)
        self.view = View(self.console, clock=self.clock, verbose=True)

    def after(self, *events: Event, seconds: float = 0.0) -> list[str]:
        """The moving lines once these events came, and so many seconds later."""
        for event in events:
            self.view.take(event)
        self.clock.now += seconds
        return ["".join(part.text for part in line).rstrip() for line in self.console.render_lines(self.view.frame())]


def test_the_live_view_fits_80_columns_and_keeps_what_lasts() -> None:
    """Moving lines are cut at the edge; finished stages and notes stay above, in plain letters."""
    screen = Watched()
    with screen.view.live(auto_refresh=False):
        seen = screen.after(StageStarted(stage="teach"), Note(text="[bold] is no markup"), trained(), seconds=1)
        screen.after(StageFinished(stage="teach", seconds=3))
    assert max(map(len, seen)) <= 80
    assert any("cifar-mobilenet-v2 transfer" in line and "━" in line for line in seen)
    assert "[bold] is no markup" in screen.stream.getvalue()
    assert "teach: done in 3.0 s" in screen.stream.getvalue()


def test_the_live_views_clock_goes_on_between_events() -> None:
    """A long step counts its seconds, time left runs down, and what nobody speaks of is called work."""
    screen = Watched()
    assert screen.after(seconds=0.5) == [""]
    assert screen.after(seconds=2.5) == ["at work · 3.0 s"]
    assert screen.after(StageStarted(stage="teach"), seconds=12) == ["teach · 12 s so far"]
    assert screen.after(trained(seconds_left=80.0), seconds=20)[0].endswith("1 min left")
    assert screen.after(seconds=90)[0].endswith("0.0 s left")
    assert screen.after(Progress(what="reading", done=1, total=2, seconds_left=9.0), seconds=4)[0].endswith("reading: 1/2 images · 5.0 s left")
    assert screen.after(Progress(what="reading", done=2, total=2)) == ["teach · 2 min 6 s so far"]
    assert screen.after(StageFinished(stage="teach", seconds=126)) == [""]


def test_work_that_only_counts_gets_its_time_left() -> None:
    """From how fast it was since it was first heard of; once more from the start where it begins again."""
    screen = Watched()
    assert screen.after(Progress(what="remembering", done=100, total=400), seconds=10)[0].endswith("100/400 images")
    assert screen.after(Progress(what="remembering", done=200, total=400))[0].endswith("200/400 images · 20 s left")
    assert screen.after(Progress(what="remembering", done=0, total=400), seconds=2)[0].endswith("0/400 images")
    assert screen.after(Progress(what="remembering", done=100, total=400))[0].endswith("100/400 images · 6.0 s left")


@given(what=st.text("abc/-é", max_size=120), done=st.integers(0, 10**7), seconds=st.none() | st.floats(0, 10**6))
def test_the_figures_of_a_long_name_are_never_cut(what: str, done: int, seconds: float | None) -> None:
    """The name gives way in its middle."""
    line = progress_line(Progress(what=what, done=done, total=10**7, seconds_left=seconds), 59)
    assert len(line) <= 59
    assert line.endswith("images" if seconds is None else " left")
    assert f"{done:,}/10,000,000 images" in line


def test_a_terminal_draws_by_itself() -> None:
    """Without any event the clock is redrawn, and nothing of it stays."""
    stream = Screen()
    with drawing(stream) as drawer:
        drawer.take(StageStarted(stage="teach"))
        for _ in range(100):
            if "so far" in stream.getvalue():
                break
            time.sleep(0.1)
    assert "teach · 0." in stream.getvalue()
    assert "teach …" in stream.getvalue()


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True
