"""What a similarity is worth: by the calibration, and on these comparisons."""

import numpy as np

from mien.evaluation.compared import Compared
from mien.evaluation.contract import Likelihood
from mien.matching.calibration import Calibration
from mien.matching.likelihood import log10_ratios, shares
from mien.matching.support import smallest_fmr_of, smallest_fnmr


def likelihood(compared: Compared, calibration: Calibration | None) -> Likelihood | None:
    """The calibration's curve of two pictures, and one of these comparisons at its thresholds.

    Both are bounded by what their people can show. None without a calibration.
    """
    if calibration is None:
        return None
    points = calibration.pictures.points
    thresholds = [point.threshold for point in points]
    fmr, fnmr = compared.comparisons.rates(np.array(thresholds, np.float32))
    return Likelihood(
        thresholds=thresholds,
        by_calibration=[point.log10_lr for point in points],
        here=log10_ratios(
            shares(fnmr),
            shares(1 - fmr),
            smallest_fnmr(compared.genuine_people),
            smallest_fmr_of(compared.people_pairs),
        ),
    )
