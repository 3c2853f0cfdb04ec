"""One run of `mien enroll`: read this page first.

source --sort--> jobs --place.enroll--> answers --settle--> ledger, then the whole gallery is
looked at, and what is to leave leaves. The gallery is written before the ledger says so.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from mien.enrolling.items import Item, Refusal
from mien.enrolling.job import Answer, Job
from mien.enrolling.ledger import Ledger
from mien.enrolling.options import Options
from mien.enrolling.place import Place
from mien.enrolling.sorting import Sorter
from mien.errors import (
    FailedPrecondition,
    NotCalibrated,
    PermissionDenied,
    UnsupportedOperatingPoint,
    of_reason,
)
from mien.v1 import gallery_pb2, match_pb2, reason_pb2

DELETED_AT_ONCE = 1000
MOST_MISFITS = 10_000
"""As many as the contract's FindDuplicates tells of."""


class Progress(Protocol):
    def update(self) -> object:
        """One more picture is done."""


class Run:
    """Brings a source into a gallery."""

    def __init__(self, ledger: Ledger, place: Place, options: Options, progress: Progress) -> None:
        self._ledger = ledger
        self._place = place
        self._options = options
        self._progress = progress
        self.notes: list[str] = []
        """What could not be looked at, and why."""

    def go(self, items: Iterable[Item]) -> None:
        """Raises what ends the whole run; run again, it goes on.

        Beside what a place raises: NotCalibrated and UnsupportedOperatingPoint, if faces too alike
        were to be refused and the calibration cannot tell.
        """
        gallery = self._place.gallery()
        self._ledger.begin(f"{gallery.gallery_id} of {gallery.create_time.ToJsonString()}")
        if not self._options.tries:
            self._delete()
        sorter = Sorter(self._ledger, self._place, self._options, self._progress.update)
        for job, answer in self._answers(sorter.jobs(items)):
            self._settle(job, answer)
            self._progress.update()
        if not self._options.tries:
            self._ledger.commit()
            self._look_at_all()
        self._follow(sorter.complete)

    def _answers(self, jobs: Iterator[Job]) -> Iterator[tuple[Job, Answer]]:
        if self._options.plan:
            for job in jobs:
                raise TypeError(f"a plan enrols nothing, and there is {job.row.key}")
            return
        yield from self._place.enroll(jobs)

    def _settle(self, job: Job, answer: Answer) -> None:
        if isinstance(answer, Refusal):
            _check_policy(answer)
            row = replace(job.row, outcome="refused", refusal=answer, sample_id=job.replaces)
            self._ledger.settle(row)
            return
        warnings = dict.fromkeys((*job.row.warnings, *_warnings(answer)))
        row = replace(
            job.row,
            outcome="known" if answer.already_existed else "enrolled",
            sample_id=answer.sample.sample_id or job.replaces,
            warnings=tuple(warnings),
        )
        if not self._options.tries:
            self._ledger.unchecked(True)
        self._ledger.settle(row)
        old = job.replaces
        changed = self._options.sync and old not in ("", row.sample_id)
        if changed and self._ledger.of_sample(old) is None:
            self._ledger.exchange(row, old)

    def _look_at_all(self) -> None:
        """Find samples that do not fit their subject, once everybody is in."""
        if not self._ledger.unchecked() and self._options.misfits == "report":
            return
        try:
            found = list(self._misfits())
        except (NotCalibrated, UnsupportedOperatingPoint, PermissionDenied) as error:
            if self._options.misfits == "refuse":
                raise
            self.notes.append(f"no picture was looked at for fitting its subject: {error}")
            return
        self._ledger.forget_misfits()
        for misfit in found:
            self._note(misfit)
        self._ledger.unchecked(False)
        self._ledger.commit()

    def _misfits(self) -> Iterator[match_pb2.Misfit]:
        request = match_pb2.FindDuplicatesRequest(
            gallery_id=self._place.gallery().gallery_id,
            target_fmr=self._options.fmr,
            max_findings=MOST_MISFITS,
        )
        for response in self._place.duplicates(request):
            if response.HasField("misfit"):
                yield response.misfit
            if response.HasField("summary") and response.summary.truncated:
                self.notes.append(
                    f"more than {MOST_MISFITS:,} findings in the gallery: not all are told"
                )

    def _note(self, misfit: match_pb2.Misfit) -> None:
        row = self._ledger.of_sample(misfit.sample_id)
        if row is None:
            return  # enrolled from elsewhere
        message = _misfit(misfit)
        if self._options.misfits == "report":
            self._ledger.settle(replace(row, misfit=message))
            return
        refused = replace(
            row, outcome="refused", refusal=Refusal("MISFIT", message), sample_id="", misfit=""
        )
        self._ledger.exchange(refused, misfit.sample_id)

    def _follow(self, complete: bool) -> None:
        """With `sync`: what is not in the source any more leaves the gallery."""
        if self._options.sync and not complete:
            self.notes.append(
                "nothing was removed, since a part of the source could not be read: what is in "
                "there is not missing"
            )
        elif self._options.sync:
            gone = Refusal("NOT_IN_SOURCE", "the source has it no more")
            self._ledger.remove_missing("remove" if self._options.tries else "removed", gone)
        if not self._options.tries:
            self._delete()
            self._ledger.forget_gone()

    def _delete(self) -> None:
        while sample_ids := self._ledger.leaving(DELETED_AT_ONCE):
            self._place.delete(sample_ids)
            self._ledger.left(sample_ids)


def _check_policy(refusal: Refusal) -> None:
    """Raise what refuses every picture alike: it is not the picture's fault."""
    error = of_reason(refusal.reason)
    if issubclass(error, FailedPrecondition):
        raise error(refusal.message)


def _warnings(answer: gallery_pb2.EnrollSampleResponse) -> Sequence[Refusal]:
    near = [
        Refusal(
            "NEAR_OTHER_SUBJECT",
            f"similarity {each.score.similarity:.4f} to {each.subject_id}",
        )
        for each in answer.near_subjects
    ]
    reasons = [reason_pb2.Reason.Name(each) for each in answer.sample.quality.warnings]
    return [
        *near,
        *(Refusal(each.removeprefix("REASON_"), "near its limit") for each in reasons),
    ]


def _misfit(misfit: match_pb2.Misfit) -> str:
    nearest = misfit.nearest_subject_id
    other = f", and most like {nearest}" if nearest else ""
    return (
        f"similarity {misfit.score.similarity:.4f} at most to the other pictures of "
        f"{misfit.subject_id}{other}"
    )
