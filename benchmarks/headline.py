"""The headline: a real teacher to a student an eleventh of its size, on Fashion-MNIST, by one run of `edgekd compress` and nothing else.

    python -m benchmarks.headline [--quick]

Everything is in recipes/headline.toml: the teacher taught here, the student distilled in two phases and taught alone by the same schedule, files,
scores, times. The last epoch counts, the test images are read once per file. Killed, it goes on; the figures are read from the run's own report.json.
"""

import argparse
from pathlib import Path

from benchmarks.result import RESULTS, ROOT, WORK, save, tell
from edgekd.compress import compress
from edgekd.models.load import build, save_weights
from edgekd.recipefile import override, read_recipe
from edgekd.record import Artifact, Report

QUICK = [
    "phase.0.epochs=0.02",
    "phase.1.epochs=0.02",
    "train.teacher_epochs=0.02",
    "train.views=0",
    "student.0.model=resnet8",
    "teacher.model=resnet14",
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


def main() -> None:
    """One run, and what it came to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
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
        }
        for a in report.artifacts
    ]
    seconds = sum(network.training.seconds for network in report.networks)
    print(save("headline", figures=figures(report), rows=rows, seconds=seconds, quick=args.quick).read_text())
    if not args.quick:
        keep_teacher(folder, report)


def keep_teacher(folder: Path, report: Report) -> None:
    """The teacher's weights as fp16 beside the result, so that it need not be taught again."""
    (weights,) = folder.glob("teach-*/weights.safetensors")
    assert report.data is not None
    network = build(str(weights), classes=len(report.data.classes), shape=report.data.shape)
    save_weights(network, RESULTS / "headline-teacher.safetensors", half=True)


if __name__ == "__main__":
    main()
