"""The headline: a real teacher to a student a tenth of its size, on Fashion-MNIST.

    python -m benchmarks.headline --teach [--quick]     the teacher, in pieces of an hour; kept in results/headline-teacher.safetensors
    python -m benchmarks.headline [--quick]             one run of `edgekd compress` with that teacher, and nothing else

Everything is in recipes/headline.toml: the student distilled in two phases and taught alone by the same schedule, files, scores, times. The last
epoch counts, the test images are read once per file. Killed, both go on; the figures are read from the run's own report.json.
"""

import argparse

import msgspec

from benchmarks.result import RESULTS, ROOT, WORK, save, tell
from edgekd.compress import compress, teach
from edgekd.models.load import build, save_weights
from edgekd.recipe import Teacher
from edgekd.recipefile import override, read_recipe
from edgekd.record import Artifact, Report

PIECES = ((8.0, 0.1), (12.0, 0.05), (1.0, 0.01))
"""Epochs and peak learning rate of each piece of the teacher's training; each starts from the last one's weights, and its rate rises anew."""
TEACHER = RESULTS / "headline-teacher.safetensors"
QUICK = [
    "phase.0.epochs=0.02",
    "phase.1.epochs=0.02",
    "train.views=0",
    "student.0.model=resnet8",
]


def accuracy(report: Report, name: str) -> float:
    """Of an artifact on the test images, %."""
    score = report.score(name)
    assert score is not None, name
    return 100 * score.metrics["accuracy"].value


def speedup(report: Report, name: str) -> float:
    """Of an artifact over the teacher's fp32 file, batch 1, all cores, medians."""
    return next(1 / ratio.value for ratio in report.ratios if ratio.artifact == name)


def figures(report: Report) -> dict[str, float]:
    """fp32 against fp32, then the file that ships against the teacher's fp32."""
    teacher = next(a for a in report.artifacts if (a.role, a.precision) == ("teacher", "fp32"))
    student = next(a for a in report.artifacts if (a.role, a.precision) == ("student", "fp32"))
    shipped = report.artifact(next(iter(report.shipped.values())))
    alone = max(n.test_accuracy.value for n in report.networks if n.role.startswith("alone") and n.test_accuracy is not None)

    def against(artifact: Artifact, prefix: str) -> dict[str, float]:
        drop = accuracy(report, teacher.name) - accuracy(report, artifact.name)
        return {
            f"{prefix}size_ratio": teacher.size / artifact.size,
            f"{prefix}speedup": speedup(report, artifact.name),
            f"{prefix}{'drop' if prefix else 'accuracy_drop'}_points": drop,
        }

    return {
        **against(student, ""),
        "params_ratio": teacher.params / student.params,
        "teacher_accuracy": accuracy(report, teacher.name),
        "student_accuracy": accuracy(report, student.name),
        "student_alone_accuracy": 100 * alone,
        "teacher_minus_alone_points": accuracy(report, teacher.name) - 100 * alone,
        **against(shipped, "shipped_"),
    }


def teach_teacher(*, quick: bool) -> None:
    """The teacher from nothing, piece by piece, its weights in fp16 beside the results: under 10 MB, so that it need not be taught again."""
    file = ROOT / "recipes" / "headline.toml"
    before: list[str] = []
    for number, (epochs, rate) in enumerate(PIECES):
        settings = [f"train.teacher_epochs={0.02 if quick else epochs}", f"train.teacher_optimizer.lr={rate}"]
        recipe = override(msgspec.structs.replace(read_recipe(file), teacher=Teacher(model="wrn-16-3")), [*before, *settings])
        folder = WORK / f"headline-teacher{'-quick' if quick else ''}-{number}"
        report = teach(recipe, folder=folder, origin="recipes/headline.toml", base=file.parent, emit=tell)
        (weights,) = folder.glob("teach-*/weights.safetensors")
        assert report.data is not None
        network = build(str(weights), classes=len(report.data.classes), shape=report.data.shape)
        last = number == len(PIECES) - 1 and not quick
        kept = TEACHER if last else folder / "weights.safetensors"
        save_weights(network, kept, half=True)
        before = [f"teacher.weights={kept}"]


def main() -> None:
    """One run, and what it came to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teach", action="store_true", help="teach the teacher first")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    if args.teach:
        return teach_teacher(quick=args.quick)
    file = ROOT / "recipes" / "headline.toml"
    recipe = read_recipe(file)
    recipe = override(recipe, QUICK) if args.quick else recipe
    folder = WORK / ("headline-quick" if args.quick else "headline")
    report = compress(recipe, folder=folder, origin="recipes/headline.toml", base=file.parent, emit=tell)
    rows = [
        {
            "artifact": a.name,
            "size": a.size,
            "params": a.params,
            "macs": a.macs,
            "accuracy": round(accuracy(report, a.name), 3),
            "speedup": 1.0 if a is report.artifacts[0] else round(speedup(report, a.name), 3),
            **({"shipped_precision": a.precision} if a.name in report.shipped.values() else {}),
        }
        for a in report.artifacts
    ]
    seconds = sum(network.training.seconds for network in report.networks)
    print(save("headline", figures=figures(report), rows=rows, seconds=seconds, quick=args.quick).read_text())


if __name__ == "__main__":
    main()
