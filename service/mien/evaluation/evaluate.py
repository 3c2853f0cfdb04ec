"""Measure a bundle, or two side by side. The page to read first: it names every part in order."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from mien.errors import InvalidRequest
from mien.evaluation import group_file, saved
from mien.evaluation.acquisition import acquisition
from mien.evaluation.contract import FORMAT, EvaluatedData, Report
from mien.evaluation.deployment import Deployment, deploy
from mien.evaluation.grouping import grouped
from mien.evaluation.identification import identification
from mien.evaluation.likelihood import likelihood
from mien.evaluation.measured import Measured, named
from mien.evaluation.request import Request, check_middle, embed_asked, open_asked
from mien.evaluation.roles import acquired
from mien.evaluation.sources import Source, check_people
from mien.evaluation.verification import verification
from mien.matching.calibration import fusion_of
from mien.model.bundle import Bundle


def evaluate(bundle: Bundle, request: Request, other: Bundle | None = None) -> Report:
    """Measure a bundle on a dataset; `other` on the same pictures, with a paired test.

    What can be refused before embedding is. Raises DatasetInvalid, ModelMismatch (saved vectors of
    another bundle), InvalidRequest (what cannot go together) and OutputExists.
    """
    deployment = deploy(bundle.calibration, request.threshold)
    source = open_asked(request)
    if request.middle is not None:
        check_middle(bundle, request.middle, other)
        other = bundle
    _check(request, source, deployment, other)
    groups = None if request.groups is None else _groups(request.groups, source, bundle)
    samples = embed_asked(bundle, source, request)
    if request.save_vectors is not None:
        saved.save(samples, bundle.manifest.fingerprint, request.save_vectors)
    those = None
    if other is not None:
        others = embed_asked(other, source, request, request.middle)
        samples, others = samples.named(others.names), others.named(samples.names)
        check_people(source.path, len(set(samples.people.tolist())), "usable to both bundles")
        those = Measured.of(other, source, others, request.seed)
    this = Measured.of(bundle, source, samples, request.seed)
    return _report(this, those, source, deployment=deployment, groups=groups, request=request)


def _report(  # noqa: PLR0913 - what a report is made of
    this: Measured,
    other: Measured | None,
    source: Source,
    *,
    deployment: Deployment | None,
    groups: Mapping[str, str] | None,
    request: Request,
) -> Report:
    samples, seed = this.samples, this.seed
    verified, deployed = verification(this.compared, deployment)
    return Report(
        format=FORMAT,
        mien=version("mien"),
        seed=seed,
        bundle=named(this.bundle),
        data=_data(source, this, request),
        acquisition=acquisition(samples),
        folders=acquired(samples, source.folders),
        verification=verified,
        deployed=deployed,
        likelihood=likelihood(this.compared, this.bundle.calibration),
        lfw=this.lfw,
        identification=(
            None
            if source.pairs
            else identification(
                samples,
                fusion_of(this.bundle.calibration),
                deployment,
                seed,
                drawn=not source.folders,
            )
        ),
        groups=(
            None
            if groups is None or deployment is None
            else grouped(samples, groups, deployment.threshold, seed)
        ),
        against=None if other is None else this.against(other, request.middle),
    )


def _data(source: Source, this: Measured, request: Request) -> EvaluatedData:
    file = source.pairs
    return EvaluatedData(
        name=source.path.resolve().name,
        source=source.kind,
        comparisons="all" if file is None else "view1" if file.folds is None else "view2",
        people=len(set(this.samples.people.tolist())),
        pictures=len(this.samples.names),
        left_out_pairs=this.left_out_pairs,
        multi_face=request.multi_face,
    )


def _groups(path: Path, source: Source, bundle: Bundle) -> dict[str, str]:
    """Checked before anything is embedded."""
    groups = group_file.read(path)
    known = {picture.person for picture in source.pictures}
    group_file.check(path, groups, known or source.samples(bundle).everybody)
    return groups


def _check(
    request: Request, source: Source, deployment: Deployment | None, other: Bundle | None
) -> None:
    if request.groups is not None and deployment is None:
        raise InvalidRequest(
            "groups are held against the one deployed threshold, and the bundle is not calibrated "
            "for an FMR of 10 % or less; calibrate it with more people, or give a threshold"
        )
    if source.kind == "vectors" and other is not None:
        raise InvalidRequest(
            f"{source.path} holds vectors of one bundle, so that another cannot be compared on it; "
            "give the pictures"
        )
    if request.save_vectors is not None:
        if source.kind == "vectors":
            raise InvalidRequest(f"{source.path} holds saved vectors already")
        saved.check_new(request.save_vectors)
