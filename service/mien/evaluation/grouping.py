"""Groups of people at the one deployed threshold."""

from collections.abc import Mapping

from mien.evaluation.contract import Group, Groups, Ratio, ends
from mien.evaluation.samples import Samples
from mien.matching import groups as matching


def grouped(samples: Samples, group_of: Mapping[str, str], threshold: float, seed: int) -> Groups:
    """FMR and FNMR within each group; `group_of` has every person of the samples."""
    names = [group_of[person] for person in samples.people.tolist()]
    found = matching.compare_groups(samples.vectors, samples.person_numbers, names, threshold, seed)
    return Groups(
        threshold=threshold,
        groups=[_group(group) for group in found.groups],
        fmr_ratio=_ratio(found.fmr_ratio),
        fnmr_ratio=_ratio(found.fnmr_ratio),
    )


def _group(found: matching.Group) -> Group:
    return Group(
        group=found.name,
        people=found.people,
        pictures=found.images,
        genuine_comparisons=found.genuine_comparisons,
        impostor_comparisons=found.impostor_comparisons,
        fmr=None if found.fmr is None else found.fmr.value,
        fmr_interval95=None if found.fmr is None else ends(found.fmr.interval),
        fnmr=None if found.fnmr is None else found.fnmr.value,
        fnmr_interval95=None if found.fnmr is None else ends(found.fnmr.interval),
    )


def _ratio(found: matching.Ratio | None) -> Ratio | None:
    if found is None:
        return None
    return Ratio(
        worst=found.worst, best=found.best, value=found.value, low95=found.low, high95=found.high
    )
