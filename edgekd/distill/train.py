"""How a network learns: phases one after another, in one loop that can be stopped at any step and goes on as if it had not been.

`fit` teaches a network on views of training images, with a teacher's answers where a phase's terms ask for them. On the CPU a resumed run ends with
the same bits as an undisturbed one, given the same number of threads. The last epoch counts; validation images are looked at and never chosen by.
Nothing here exports, judges or prints.
"""

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from edgekd.data.batches import AHEAD, Batches
from edgekd.distill import checkpoint, schedule
from edgekd.distill.batchnorm import batchnorms, reestimate, shown
from edgekd.distill.checkpoint import Place
from edgekd.distill.independent import label_counts
from edgekd.distill.inside import Inside, floats
from edgekd.distill.interrupt import Interrupts
from edgekd.distill.job import Job, guests_of
from edgekd.distill.leading import Answers, whole
from edgekd.distill.meter import Log, Step, accuracy
from edgekd.distill.objective import Objective, Seen
from edgekd.distill.optimizer import Averaged, build_optimizer
from edgekd.distill.quantised import rounding
from edgekd.distill.schedule import Passes
from edgekd.distill.subset import positions
from edgekd.distill.teacher import Teacher
from edgekd.distill.temperature import BEGIN, follow, learn
from edgekd.events import Emit, Note, PhaseStarted
from edgekd.models.network import Network
from edgekd.models.taps import LOGITS
from edgekd.phases import Augment, Phase, Shape, Temperature
from edgekd.record import Training
from edgekd.tasks import several


def fit(
    network: Network, job: Job, *, data: Batches, valid: Batches | None, teacher: Teacher | None, inside: Inside | None = None, emit: Emit
) -> Training:
    """Teach `network` in place, going on from a checkpoint in the job's folder where there is one. `inside` serves phases that compare features.

    Raises:
        TrainingError: the loss is not a number; the last good checkpoint stays.
    """
    return _Fit(network, job, data=data, valid=valid, teacher=teacher, inside=inside, emit=emit).run()


class _Fit:
    def __init__(
        self, network: Network, job: Job, *, data: Batches, valid: Batches | None, teacher: Teacher | None, inside: Inside | None, emit: Emit
    ) -> None:
        train = job.train
        assert train.batch is not None, "the job's defaults are not filled in"
        assert train.optimizer is not None, "the job's defaults are not filled in"
        assert train.augment is not None, "the job's defaults are not filled in"
        self.network, self.job, self.data, self.teacher, self.inside, self.emit = network, job, data, teacher, inside, emit
        self.augment: Augment = train.augment
        self.ranks = job.ranks
        if self.ranks.count > 1:
            network.load_state_dict(self.ranks.agreed(network.state_dict()))
        self.batch = min(train.batch, len(data))
        self.phase_steps = schedule.phase_steps(job.phases, len(data), self.batch)
        self.steps = sum(self.phase_steps)
        self.bf16 = train.precision == "bf16"
        if train.channels_last:
            network.to(memory_format=torch.channels_last)
        self.forward: Any = torch.compile(network) if train.compile else network
        self.watched: Any = None if inside is None else torch.compile(inside.student) if train.compile and not inside.student.note else inside.student
        self.optimizer = build_optimizer(network, train.optimizer, beside=None if inside is None else inside.bridges)
        self.follows = any(_shape(phase) == "student-confidence" for phase in job.phases)
        self.average = Averaged(network, train.ema)
        self.beside = job.beside
        self.interrupts = Interrupts(heeded=self.ranks.main)
        self.place = Place()
        measure = None if valid is None or not len(valid) else lambda: accuracy(network, valid, bf16=self.bf16)
        self.log = Log(network.name, job, self.phase_steps, schedule.steps_per_pass(len(data), self.batch), measure=measure, emit=emit)

    def run(self) -> Training:
        self._resume()
        self._begun = time.monotonic() - self.place.seconds
        saved = time.monotonic()
        with self.interrupts.installed():
            try:
                for _ in self._steps():
                    if time.monotonic() - saved > self.job.checkpoint_s:
                        self._save()
                        saved = time.monotonic()
            except (KeyboardInterrupt, SystemExit):
                self._save()
                self.emit(Note(text=f"stopped at step {self.place.step} of {self.steps}; the same command goes on from there"))
                raise
        self._finish()
        place = self.place
        return Training(how=self.job.how, steps=self.steps, seconds=place.seconds, seed=self.job.seed, curve=place.curve)

    # Steps ------------------------------------------------------------------------------------------------------------

    def _steps(self) -> Iterator[None]:
        """Every step that is left, phase by phase."""
        place = self.place
        while place.phase < len(self.job.phases):
            phase, steps = self.job.phases[place.phase], self.phase_steps[place.phase]
            if place.positions is None:
                seed = self.job.seed * 1000 + place.phase
                place.positions = self.ranks.agreed(positions(phase, self.network, self.data, self.teacher, seed=seed, bf16=self.bf16))
            self.emit(PhaseStarted(network=self.network.name, phase=phase.name, images=len(place.positions), steps=steps))
            self._say_if_small(phase, len(place.positions))
            labels = self.data.labels[place.positions.to(self.data.labels.device)]
            counts = label_counts(labels) if several(labels) else labels.bincount()
            objective = Objective(phase, self.inside.looks(phase) if self.inside is not None else {}, counts)
            if phase.is_quantised:  # a compiled network does not see hooks that came later, and bf16 has 8 bits itself
                self.forward, self.watched, self.bf16 = self.network, None if self.inside is None else self.inside.student, False
            passes = Passes(len(place.positions), self.batch, self.job.seed, first=place.first_pass)
            with rounding(self.network, self.network.name, phase, self.data, place.ranges, self.emit):
                while place.phase_step < steps:
                    self._step(phase, objective, passes, steps)
                    yield
            with self.interrupts.held():
                place.first_pass += -(-steps // passes.steps)
                place.phase, place.phase_step, place.positions = place.phase + 1, 0, None
                place.learned = place.first_temperature = None

    def _say_if_small(self, phase: Phase, images: int) -> None:
        asked = self.job.train.batch
        if asked is not None and images < asked:
            few = f"phase {phase.name!r} sees {images} images, fewer than train.batch = {asked}"
            self.emit(Note(text=f"{few}: its batches hold {min(images, self.batch)}"))

    def _step(self, phase: Phase, objective: Objective, passes: Passes, steps: int) -> None:
        """One step, and what is to be said of it: a signal waits for both, so that no point of the curve is lost."""
        place = self.place
        chosen, view = self._batch(phase, passes)
        images, labels = shown(self.data, chosen, view, self.augment, self.job.train.view_seed)
        answers, theirs = self._answers(phase, images, chosen, view)
        factor = schedule.rate(self.job.train.schedule, place.step, self.steps)
        progress = place.phase_step / max(1, steps - 1)
        with self.interrupts.held():
            self._mode(phase)
            for group in self.optimizer.param_groups:
                group["lr"] = group["peak"] * factor
            guests = guests_of(self.beside, place.step, plain=phase.plain)
            every = images if guests is None else torch.cat([images, guests])
            whole, ours = self._own(phase, every)
            logits = whole[: len(labels)]
            if guests is not None:
                ours = {name: features[: len(labels)] for name, features in ours.items()}
            confidence = follow(place.confidence, logits) if self.follows else None
            self.ranks.average([] if confidence is None else [confidence])
            learned = self._learned(phase, logits.device)
            seen = Seen(ours, theirs) if phase.looks_inside else None
            loss = objective(logits, answers, labels, progress=progress, confidence=confidence, learned=learned, seen=seen)
            total, parts, names = loss.total, loss.parts, objective.names
            if self.beside is not None:
                more = self.beside.parts(self.network, every, whole, step=place.step)
                total, parts, names = total + more.sum(), torch.cat([parts, more.detach()]), (*names, *self.beside.names)
            self.optimizer.zero_grad(set_to_none=True)
            total.backward()  # type: ignore[no-untyped-call]
            self.ranks.average(self._shared(learned))
            self.optimizer.step()
            self._follow()
            place.confidence, place.learned = confidence, None if learned is None else learn(learned, factor)
            if place.phase_step == 0 and phase.softens:
                place.first_temperature = loss.temperature
            place.step, place.phase_step = place.step + 1, place.phase_step + 1
            place.seconds = time.monotonic() - self._begun
            if self.ranks.main:  # who says what they come to; the parts of two phases are not alike
                self.log.meter.add(parts, len(labels) * self.ranks.count)
            shares, rate = partial(objective.gradient_shares, loss.answer), factor * max(group["peak"] for group in self.optimizer.param_groups)
            self.log.told(place, Step(phase=phase, names=names, temperature=loss.temperature, gradient_shares=shares, learning_rate=rate))

    def _answers(self, phase: Phase, images: Tensor, chosen: Tensor, view: int | None) -> tuple[Answers | None, dict[str, Tensor]]:
        """The teacher's logits where a term asks for them, and its features where one compares them: a distillation token learns its logits."""
        if self.teacher is None or not phase.soft:
            return None, {}
        if phase.compares_insides and self.inside is not None:
            return self.inside.answer(images, bf16=self.bf16)
        answers = self.teacher.answer(images, chosen, view)
        return answers, {LOGITS: whole(answers)} if phase.looks_inside else {}

    def _own(self, phase: Phase, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The student's logits, and its features where a term compares them, float32."""
        with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            logits, features = self.watched(images) if phase.looks_inside else (self.forward(images), {})
        return logits.float(), floats(features)

    def _batch(self, phase: Phase, passes: Passes) -> tuple[Tensor, int | None]:
        """Positions of this rank's part of the next batch, and the view it is shown in (None: plain)."""
        place = self.place
        assert place.positions is not None
        chosen, number = passes.at(place.phase_step)
        left = self.phase_steps[place.phase] - 1 - place.phase_step  # what is read and never asked for would stay
        for later in [] if self.data.resident else passes.coming(place.phase_step, min(AHEAD, left)):
            self.data.prefetch(self.ranks.part(place.positions[later]))
        view = number % self.job.train.views if self.job.train.views else number
        return self.ranks.part(place.positions[chosen]), None if phase.plain else view

    def _shared(self, learned: Tensor | None) -> Iterator[Tensor]:
        """What a step leaves each rank a part of: gradients, a learned temperature's among them, running statistics and ranges."""
        yield from (p.grad for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None)
        yield from (b for name, b in self.network.named_buffers() if name.rpartition(".")[2] in ("running_mean", "running_var"))
        yield from self.place.ranges.values()
        if learned is not None and learned.grad is not None:
            yield learned.grad

    def _mode(self, phase: Phase) -> None:
        self.network.train()
        if self.inside is not None:
            self.inside.student.train()
            self.inside.bridges.train()
        if phase.batchnorm == "frozen" or phase.is_quantised:
            for module in batchnorms(self.network):
                module.eval()

    def _learned(self, phase: Phase, device: torch.device) -> Tensor | None:
        """Where a learned temperature stands, for this step's gradient to come back to."""
        if _shape(phase) != "learned":
            return None
        before = torch.tensor(BEGIN) if self.place.learned is None else self.place.learned
        return before.detach().to(device).requires_grad_()

    def _follow(self) -> None:
        self.average.follow(self.network, self.place.step)
        if self.beside is not None:
            self.beside.follow(self.network)

    # What is seen and kept --------------------------------------------------------------------------------------------

    def _save(self) -> None:
        if not self.ranks.main or not all(bool(torch.isfinite(value).all()) for value in self.network.parameters()):
            return
        states = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict(), "average": self.average.values}
        if self.inside is not None:
            states["bridges"] = self.inside.bridges.state_dict()
        if self.beside is not None:
            states["beside"] = self.beside.state_dict()
        checkpoint.save(self.job.folder, self.place, states, key=self.job.key)
        self.job.kept()

    def _resume(self) -> None:
        found = checkpoint.load(self.job.folder, key=self.job.key) if self.ranks.main else None
        found, generator = self.ranks.agreed((found, torch.get_rng_state()))
        torch.set_rng_state(generator)
        if found is None:
            return
        self.place, states = found
        self.network.load_state_dict(states["network"])
        if self.inside is not None:
            self.inside.bridges.load_state_dict(states["bridges"])
        if self.beside is not None:
            self.beside.load_state_dict(states["beside"])
        self.optimizer.load_state_dict(states["optimizer"])
        self.average.load(states["average"])
        self.emit(Note(text=f"{self.network.name} goes on from step {self.place.step} of {self.steps}"))

    def _finish(self) -> None:
        self.average.put(self.network)
        if self.job.train.reestimate_batchnorm or self.average.values:
            reestimate(self.network, self.data, None if self.job.phases[-1].plain else 0, self.augment, self.job.train.view_seed)
        self.network.eval()


def _shape(phase: Phase) -> Shape | None:
    """How the phase's temperature moves; None where it is held."""
    return phase.temperature.shape if isinstance(phase.temperature, Temperature) else None
