"""What every test shares: quiet, repeatable, offline."""

import os

import hypothesis

# One core per process: tests share the machine with others, and toy networks gain nothing from more.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["NO_COLOR"] = "1"
os.environ["COLUMNS"] = "100"

hypothesis.settings.register_profile("edgekd", deadline=None, max_examples=50, derandomize=True)
hypothesis.settings.load_profile("edgekd")
