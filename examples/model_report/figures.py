"""Every figure of a bundle's model card and of docs/models.md, from one run.

The people held out of learning follow from the recipe in the bundle, and the thresholds from its
calibration, which was measured on them: none is chosen on the pictures that it is tried on.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien import dataset
from mien.evaluation import pair_file
from mien.evaluation.acquisition import acquisition, pictures_of
from mien.evaluation.compared import AllPairs, ListedPairs
from mien.evaluation.contract import ends
from mien.evaluation.deployment import Deployment, deploy
from mien.evaluation.measured import Measured
from mien.evaluation.sources import Source
from mien.evaluation.trials import Trials
from mien.evaluation.verification import verification
from mien.matching.calibration import Calibration, fusion_of
from mien.matching.decision import TargetFMR, decide
from mien.model.bundle import Bundle
from mien.vision.faces import Box, Detector, InBox, WholePicture
from mien_training.config.recipe import Recipe
from mien_training.data import split
from model_report import groups, open_set, speed
from model_report.looked import Looked, linked, look

EACH = 8
"""Pictures enrolled of each person."""
CENTRE = 132
"""Pixels in the middle of a picture of LFW that a crop of the template shows: eyes are 42 pixels
apart there (deep funnelling) and 35.2 of 112 on the template."""
MIDDLE = Box(68, 68, 114, 114)
"""Where the face is that a picture of LFW was cut around: the detector's box was enlarged by 2.2 to
the whole picture (Huang et al. 2007, "Labeled Faces in the Wild")."""
ASKED = (0.1, 0.05, 0.02, 0.01)
"""FMRs at whose calibrated thresholds LFW's pairs are decided, too."""
DET = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4)
"""FMRs at which the DET curve is read, whether or not so few people support them."""

CURVE, DRAWN = "curve", 512
"""Where a DET curve is, to be drawn and not written down, and of how many points."""


@dataclass(frozen=True)
class Report:
    """What is measured, and with what."""

    bundle: Bundle
    calibration: Calibration
    data: Path
    """The development data: crops, photos, lfw_view1."""
    detector: Detector
    threads: int = 2
    seed: int = 0

    @property
    def deployment(self) -> Deployment:
        deployment = deploy(self.calibration, None)
        if deployment is None:
            raise SystemExit("the bundle's calibration supports no FMR of 10 % or less")
        return deployment

    def figures(self) -> dict[str, Any]:
        """All of them, as docs/models.json holds them. Rates are shares in [0, 1]."""
        held_out = self._held_out()
        photos = look(self.bundle, _pictures(self.data / "photos"), self.detector, self.threads)
        return {
            "bundle": self._bundle(),
            "held_out": self._verified(held_out),
            "lfw_view1": self._lfw(),
            "lfw_view1_middle": self._lfw_middle(),
            "lfw_view1_centre": self._centre(),
            "photos": self._verified(photos) | {"groups": self._groups(_all_pairs(photos), photos)},
            "open_set_photos": self._open_set(photos),
            "open_set_held_out": self._open_set(held_out),
            "speed": speed.figures(self.bundle, self.threads),
        }

    def _bundle(self) -> dict[str, Any]:
        manifest = self.bundle.manifest
        recipe = Recipe.model_validate_json(manifest.provenance["recipe"])
        return {
            "name": manifest.name,
            "fingerprint": manifest.fingerprint,
            "license": manifest.license,
            "precision": manifest.precision,
            "crop": [manifest.input.crop_height, manifest.input.crop_width],
            "dimension": manifest.input.dim,
            "mirror_image": recipe.flip_embedding,
            "bytes": sum(file.stat().st_size for file in self.bundle.folder.iterdir()),
            "learned_from_people": int(manifest.provenance["train_people"]),
        }

    def _held_out(self) -> Looked:
        """People whom the network never learned from: their crops are aligned already."""
        recipe = Recipe.model_validate_json(self.bundle.manifest.provenance["recipe"])
        crops = {path.name: path for path in (self.data / "crops").iterdir()}
        _, people = split(sorted(crops), recipe.validation_people, recipe.seed)
        with tempfile.TemporaryDirectory() as temporary:
            folder = linked([crops[name] for name in people], Path(temporary) / "held-out")
            return look(self.bundle, _pictures(folder), WholePicture(), self.threads)

    def _verified(self, looked: Looked) -> dict[str, Any]:
        compared = AllPairs(looked.samples, self.seed)
        found, deployed = verification(compared, self.deployment)
        assert deployed
        told = acquisition(looked.samples)
        return {
            "people": found.people,
            "pictures": len(looked.samples.names),
            "failures_to_acquire": told.failures_to_acquire if told else 0,
            "eer": found.eer,
            "eer_interval95": found.eer_interval95,
            "smallest_supported_fmr": found.smallest_supported_fmr,
            "points": [
                point.model_dump(mode="json") for point in found.operating_points if point.supported
            ],
            "det": _det(compared, found.smallest_supported_fmr),
            "deployed": deployed.model_dump(mode="json"),
            CURVE: compared.comparisons.det(DRAWN),
        }

    def _pairs(self, folder: Path) -> Source:
        file = pair_file.read(self.data / "lfw_view1" / "pairsDevTest.txt")
        return Source(folder, "folder", file, tuple(pair_file.locate(file, folder)))

    def _lfw(self) -> dict[str, Any]:
        """From the whole pictures, the largest face of each."""
        source = self._pairs(self.data / "lfw_view1" / "images")
        looked = look(self.bundle, source.pictures, self.detector, self.threads)
        told, measured = self._accuracy(source, looked)
        compared = measured.listed()
        (threshold,) = told["thresholds"]
        return told | {
            "groups": self._groups(compared, looked, threshold),
            "hardest": _hardest(compared, looked, threshold),
            CURVE: compared.comparisons.det(DRAWN),
        }

    def _lfw_middle(self) -> dict[str, Any]:
        """The same, told which face is meant, as a caller can (`Image.target`)."""
        source = self._pairs(self.data / "lfw_view1" / "images")
        told = InBox(MIDDLE, self.detector)
        looked = look(self.bundle, source.pictures, told, self.threads)
        return self._accuracy(source, looked)[0]

    def _centre(self) -> dict[str, Any]:
        """From the middle of each picture, without a detector."""
        source = self._pairs(self.data / "lfw_view1" / "images")
        with tempfile.TemporaryDirectory() as temporary:
            for picture in source.pictures:
                whole = cv2.imread(str(picture.path))
                assert whole is not None
                margins = [(side - CENTRE) // 2 for side in whole.shape[:2]]
                middle = whole[margins[0] :, margins[1] :][:CENTRE, :CENTRE]
                file = Path(temporary, picture.person, f"{picture.path.stem}.png")
                file.parent.mkdir(exist_ok=True)
                cv2.imwrite(str(file), middle)
            source = self._pairs(Path(temporary))
            looked = look(self.bundle, source.pictures, WholePicture(), self.threads)
        return self._accuracy(source, looked)[0] | {"side": CENTRE}

    def _accuracy(self, source: Source, looked: Looked) -> tuple[dict[str, Any], Measured]:
        measured = Measured.of(self.bundle, source, looked.samples, self.seed)
        assert measured.lfw
        comparisons = measured.compared.comparisons
        intervals = measured.compared.intervals([])
        return measured.lfw.model_dump(mode="json") | {
            "left_out_pairs": measured.left_out_pairs,
            "eer": comparisons.eer(),
            "eer_interval95": ends(intervals.eer),
            "at_calibrated_fmr": [self._asked(fmr, measured.listed()) for fmr in ASKED],
        }, measured

    def _asked(self, fmr: float, compared: ListedPairs) -> dict[str, float]:
        """LFW at the threshold that a caller gets who asks for this FMR."""
        threshold = decide(TargetFMR(fmr), self.calibration).threshold
        told_same = compared.similarities >= threshold
        same = compared.pairs.same
        return {
            "target_fmr": fmr,
            "threshold": threshold,
            "accuracy": float((told_same == same).mean()),
            "fmr": float(told_same[~same].mean()),
            "fnmr": float((~told_same[same]).mean()),
        }

    def _groups(
        self, compared: ListedPairs, looked: Looked, threshold: float | None = None
    ) -> dict[str, Any]:
        at = self.deployment.threshold if threshold is None else threshold
        return {
            name: groups.by_measure(compared, looked.measured(name), worse, at, self.seed)
            for name, worse in groups.MEASURES.items()
        }

    def _open_set(self, looked: Looked) -> dict[str, Any]:
        rule = fusion_of(self.calibration)
        found = open_set.searches(looked.samples, EACH, rule, self.seed)
        each = min(EACH, found.samples // found.subjects)
        return open_set.figures(found, self.calibration, each, self.seed)


def _det(compared: AllPairs, smallest_supported: float) -> list[dict[str, Any]]:
    """FNMR at each FMR of DET, and whether so many people support that."""
    thresholds = [compared.comparisons.threshold_at_fmr(fmr) for fmr in DET]
    rates = compared.intervals(thresholds).rates
    return [
        {
            "fmr": fmr,
            "supported": fmr >= smallest_supported,
            "fnmr": compared.comparisons.fnmr(threshold),
            "fnmr_interval95": ends(interval.fnmr),
        }
        for fmr, threshold, interval in zip(DET, thresholds, rates, strict=True)
    ]


def _pictures(folder: Path) -> Any:
    return pictures_of(dataset.scan(folder))


def _all_pairs(looked: Looked) -> ListedPairs:
    first, second = np.triu_indices(len(looked.samples.names), k=1)
    return ListedPairs(looked.samples, Trials(first, second, np.zeros_like(first), 0), 0)


def _hardest(compared: ListedPairs, looked: Looked, threshold: float) -> dict[str, list[str]]:
    """The pairs that are furthest on the wrong side, to be looked at and described in words."""
    order, same = np.argsort(compared.similarities), compared.pairs.same
    missed = [row for row in order if same[row] and compared.similarities[row] < threshold]
    confused = [
        row for row in order[::-1] if not same[row] and compared.similarities[row] >= threshold
    ]
    names, trials = looked.samples.names, compared.trials
    return {
        kind: [f"{names[trials.first[row]]} {names[trials.second[row]]}" for row in rows]
        for kind, rows in (("missed", missed), ("confused", confused))
    }
