"""Run an experiment and write what it found."""

import platform
import time
from importlib import metadata
from pathlib import Path

import torch

from mien.files import replaced
from mien_training import device
from mien_training.lab import page
from mien_training.lab.experiment import Experiment, Result, Trial
from mien_training.lab.experiments import Listed
from mien_training.lab.figure import png_of
from mien_training.lab.record import Record

THREADS = 1
"""The networks are small, and the same thread count gives the same numbers on any machine."""
RECORD, FIGURE, REPORT = "result.json", "figure.png", "report.html"
OWN_FOLDER = "a folder of faces"
"""What `data` says of --data, whose path and pictures are nobody else's business."""
ORL = "AT&T (ORL) faces"
DATA = {
    "none": "none",
    "digits": "scikit-learn's digits",
    "faces": ORL,
    "digits and faces": f"scikit-learn's digits and {ORL}",
}
PACKAGES = ("mien", "torch", "numpy", "scikit-learn")


def run(
    listed: Listed, experiment: Experiment, trial: Trial, *, full: bool
) -> tuple[Record, Result]:
    """The same seed gives the same numbers on one machine, but for seconds."""
    started = time.perf_counter()
    with device.reproducible(THREADS, torch.device("cpu")):
        result = experiment.run(trial)
    told = DATA[experiment.data]
    record = Record(
        name=listed.name,
        title=listed.title,
        claim=experiment.claim,
        rule=experiment.rule,
        data=told if trial.folder is None else told.replace(ORL, OWN_FOLDER),
        full=full,
        seeds=trial.seeds,
        epochs=trial.epochs,
        tables=result.tables,
        comparisons=result.comparisons,
        curves=result.curves,
        finding=result.finding,
        seconds=round(time.perf_counter() - started, 1),
        versions=_versions(),
    )
    return record, result


def write(record: Record, result: Result, out: Path) -> Path:
    """The folder `out`/NAME with result.json, figure.png and report.html; replaces an older one."""
    folder = out / record.name
    folder.mkdir(parents=True, exist_ok=True)
    picture = png_of(result.figure)
    contents = {
        RECORD: record.written(),
        FIGURE: picture,
        REPORT: page.html(record, picture).encode(),
    }
    for name, content in contents.items():
        with replaced(folder / name) as file:
            file.write(content)
    return folder


def _versions() -> dict[str, str]:
    packages = {name: metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **packages}
