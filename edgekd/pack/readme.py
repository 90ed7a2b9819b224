"""README.txt, which says how to build and run each sample, and licences/README.txt.

In: a `Choice` and what is `Shown`. Out: strings of at most 80 columns where what they name lets them.
"""

from collections.abc import Mapping, Sequence

from edgekd import __version__, units
from edgekd.pack.chosen import Choice
from edgekd.pack.shown import Shown
from edgekd.pack.texts import plain
from edgekd.target import Target

OPENVINO, ONNXRUNTIME, TENSORRT = "openvino.cpp", "onnxruntime.cpp", "tensorrt.cpp"

_BUILD = {
    OPENVINO: """\
C++ with OpenVINO
-----------------
edgekd's tests compile and run it. The wheel brings headers and libraries:

    pip install openvino
    OV=$(python -c "import openvino; print(openvino.__path__[0])")
    g++ -std=c++17 -O2 cpp/openvino.cpp -o openvino-sample -I "$OV/include" \\
        "$OV"/libs/libopenvino.so.* -Wl,-rpath,"$OV/libs"
    ./openvino-sample
""",
    ONNXRUNTIME: """\
C++ with ONNX Runtime (NOT COMPILED HERE)
-----------------------------------------
No test of edgekd has built this one. With a release's archive
onnxruntime-linux-x64 (or -aarch64) unpacked in ORT:

    g++ -std=c++17 -O2 cpp/onnxruntime.cpp -o onnxruntime-sample \\
        -I "$ORT/include" -L "$ORT/lib" -lonnxruntime -Wl,-rpath,"$ORT/lib"
    ./onnxruntime-sample
""",
}

_TENSORRT = {
    "tensorrt": """\
C++ with TensorRT (NOT COMPILED HERE)
-------------------------------------
No test of edgekd has built this one. TensorRT 10 or newer, on the device, with
TensorRT's and CUDA's development packages (JetPack brings both):

    g++ -std=c++17 -O2 cpp/tensorrt.cpp -o tensorrt-sample \\
        -I /usr/local/cuda/include -L /usr/local/cuda/lib64 \\
        -lnvinfer -lnvonnxparser -lcudart
    ./tensorrt-sample
""",
    "tensorrt-rtx": """\
C++ with TensorRT for RTX (NOT COMPILED HERE)
---------------------------------------------
No test of edgekd has built this one. With TensorRT for RTX unpacked in RTX, and
CUDA's development packages:

    g++ -std=c++17 -O2 cpp/tensorrt.cpp -o tensorrt-sample \\
        -I "$RTX/include" -L "$RTX/lib" -Wl,-rpath,"$RTX/lib" \\
        -I /usr/local/cuda/include -L /usr/local/cuda/lib64 \\
        -ltensorrt_rtx -ltensorrt_onnxparser_rtx -lcudart
    ./tensorrt-sample
""",
}

_LICENCES: Mapping[str, Sequence[tuple[str, str]]] = {
    "sample.py": [("NumPy", "BSD-3-Clause"), ("Pillow", "MIT-CMU"), ("ONNX Runtime", "MIT")],
    OPENVINO: [("OpenVINO", "Apache-2.0")],
    ONNXRUNTIME: [("ONNX Runtime", "MIT")],
    TENSORRT: [("TensorRT", "NVIDIA's own, not open source"), ("CUDA runtime", "NVIDIA's own, not open source")],
}


def samples(target: Target, shown: Shown) -> list[str]:
    """The C++ samples that fit a target's runtime and the file; sample.py is always there."""
    if not shown.feed.plain:
        return []
    if target.by_engine:
        return [TENSORRT]
    if target.runtime == "openvino":
        return [OPENVINO]
    return [OPENVINO, ONNXRUNTIME] if target.provider == "CPUExecutionProvider" else [ONNXRUNTIME]


def readme_text(choice: Choice, shown: Shown) -> str:
    """README.txt."""
    cpp = [_TENSORRT[choice.target.runtime] if name == TENSORRT else _BUILD[name] for name in samples(choice.target, shown)]
    own = [_others(choice)] if cpp else []
    return "\n".join([_what(choice), _files(choice, shown), _python(choice), *cpp, _checks(choice, shown), *own, _PRIVATE])


def licences_text(target: Target, shown: Shown) -> str:
    """licences/README.txt: what is needed to run the samples, and under which licence it comes."""
    needed = [("sample.py", "sample.py"), *((f"cpp/{name}", name) for name in samples(target, shown))]
    lines = [f"    {where:22}{what}: {licence}" for where, name in needed for what, licence in _LICENCES[name]]
    return f"""\
The samples, cpp/pack.h and the report's page are parts of edgekd, under
Apache-2.0: edgekd-LICENSE.txt beside this file.

What the samples need is not in this pack. It comes under these licences; read
those of the versions that you pass on, and of what they bring along:

{chr(10).join(lines)}

edgekd does not know under which licence model.onnx may be passed on: that
follows from the images that it was taught on and from its teacher's weights.
The packed images are some of those images. Write it here before you pass
either on.
"""


def _what(choice: Choice) -> str:
    artifact, report, score = choice.artifact, choice.report, choice.report.score(choice.artifact.name)
    facts = units.bytes_text(artifact.size)
    if score is not None and "accuracy" in score.metrics:
        facts += f", {units.percent_text(score.metrics['accuracy'].value)} accuracy on {score.n} test images"
    title = f"{plain(artifact.name)} for {plain(choice.target.name)}"
    lines = [
        title,
        "=" * len(title),
        f"{facts}.",
        f"Packed by edgekd {__version__} from the run {plain(report.name)} of {plain(report.created[:10])}.",
        f"Target: {plain(choice.target.description)}.",
    ]
    if not choice.measured:
        lines.append("NOT MEASURED on this target: how fast the file is there is not known.")
    return "\n".join([*lines, ""])


def _files(choice: Choice, shown: Shown) -> str:
    text = f"""\
    model.onnx       the model, in ONNX
    classes.txt      {len(choice.data.classes)} class names, a line each, in the order of its answers; a
                     line end or control character in one stands as \\n, \\x07
    preprocess.txt   how a picture becomes the model's input
    images/          pictures as the model sees them: PNG for Python, PPM or PGM
                     for C++
    expected.txt     the model's answers to them, a number a class
    sample.py, cpp/  the samples
    report/          what was measured; open report.html
    licences/        what the samples need, and under which licence it comes
    manifest.json    the sha256 of every file
"""
    if not shown.feed.plain:
        text += "\nThere is no C++ sample: those feed and read float32 only, and this model has\nanother type.\n"
    return text


def _python(choice: Choice) -> str:
    text = """\
Python
------
Python 3.10 or newer, in this folder:

    pip install numpy onnxruntime pillow
    python sample.py             answers the packed pictures and compares
    python sample.py photo.jpg   says what a picture of any size shows
"""
    if choice.target.runtime != "onnxruntime":
        text += f"\nIt runs on the CPU, to check the model. The target's runtime is {choice.target.runtime}.\n"
    elif choice.target.provider != "CPUExecutionProvider":
        text += f"\nIt runs on the CPU. The target's provider is {plain(choice.target.provider)}:\nname it in sample.py, at providers=.\n"
    return text


def _checks(choice: Choice, shown: Shown) -> str:
    return f"""\
The check
---------
Without an argument, each sample answers the packed pictures and compares with
expected.txt. Start it in this folder. Exit code 0: each answer is as expected;
1: one is not; other trouble ends with 1 or 2 and says what it was. No number
may be off by more than {shown.tolerance:.3g}: other runtimes and CPUs round {choice.artifact.precision} otherwise.
"""


def _others(choice: Choice) -> str:
    height, width = choice.size
    kind = "PGM" if choice.channels == 1 else "PPM"
    return f"""\
Pictures of your own
--------------------
sample.py takes any picture and does all that preprocess.txt says. The C++
samples read binary {kind} files of exactly {width}x{height} pixels (width x height):
steps 1 and 2 of preprocess.txt are yours there. This line does them:

    python -c "import sample; sample.save('photo.jpg', 'photo.{kind.lower()}')"
"""


_PRIVATE = """\
Before you pass it on
---------------------
images/ holds real pictures, and report/ may show some of the run's test images:
see that they may be passed on. Under which licence the model may be, nobody has
written down yet: licences/README.txt has room for it.
"""
