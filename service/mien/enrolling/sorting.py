"""What is to be done with each picture of a source, without looking at what it shows."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC
from typing import TypeAlias

from mien.enrolling.items import Entry, Item, Outcome, Refusal, Said, Unusable
from mien.enrolling.job import Job
from mien.enrolling.ledger import Ledger, Row
from mien.enrolling.naming import display_name, shown, subject_id
from mien.enrolling.options import Options
from mien.enrolling.place import Place
from mien.enrolling.reading import Content, read, stamp
from mien.v1 import gallery_pb2

Tick: TypeAlias = Callable[[], object]


class Sorter:
    """Goes through a source once, in order, and settles what need not be embedded.

    Whether a picture is a copy of another depends on what came before it in this run alone, so that
    it comes out the same however often runs before were killed.
    """

    def __init__(self, ledger: Ledger, place: Place, options: Options, tick: Tick) -> None:
        self._ledger = ledger
        self._place = place
        self._options = options
        self._tick = tick
        self._subject: tuple[str, gallery_pb2.Subject | None] = ("", None)
        self.complete = True
        """Whether everything in the source was seen: otherwise nobody is missing from it."""

    def jobs(self, items: Iterable[Item]) -> Iterator[Job]:
        """What is to be enrolled, in the order of the source."""
        for item in items:
            if isinstance(item, Unusable):
                self._unusable(item)
            elif job := self._sorted(item):
                yield job
                continue
            self._tick()

    def _unusable(self, item: Unusable) -> None:
        if item.refusal.reason in ("FOLDER_UNREADABLE", "LINE_INVALID"):
            self.complete = False
        of = subject_id(item.subject) if item.subject else ""
        now = Row(item.key, of, shown(item.subject))
        self._refuse(now, self._ledger.find(item.key, of), item.refusal, item.outcome)

    def _sorted(self, entry: Entry) -> Job | None:
        of = subject_id(entry.subject)
        known = self._ledger.find(entry.key, of)
        if known and known.run == self._ledger.run:
            return None  # a manifest says it twice
        said = _with_name(entry)
        now = Row(entry.key, of, shown(entry.subject), said=_digest(said))
        if known and _is_unchanged(entry, known):
            as_it_was = replace(now, stamp=known.stamp, sha256=known.sha256)
            if self._settled(as_it_was, known, said):
                return None
        found = read(entry.path)
        if isinstance(found, Refusal):
            self._refuse(now, known, found)
            return None
        digest = hashlib.sha256(found.content).hexdigest()
        now = replace(now, stamp=found.stamp, sha256=digest)
        if self._settled(now, known, said):
            return None
        return self._job(entry, now, known, said, found)

    def _settled(self, now: Row, known: Row | None, said: Said) -> bool:
        """Settle it if it need not be embedded, by its content."""
        if self._is_copy(now, known):
            return True
        return self._is_held(replace(now, warnings=self._warnings(now)), known, said)

    def _refuse(
        self, now: Row, known: Row | None, refusal: Refusal, outcome: Outcome = "refused"
    ) -> None:
        """A picture that was enrolled and cannot be read now is not missing from the source."""
        sample_id = known.sample_id if known else ""
        self._ledger.see(replace(now, outcome=outcome, refusal=refusal, sample_id=sample_id))

    def _is_copy(self, now: Row, known: Row | None) -> bool:
        """Settle it if the same bytes came before, of this person, or of another if refused."""
        twin = self._ledger.twin(now)
        if twin is None:
            return False
        if twin.subject_id == now.subject_id:
            refusal = Refusal("DUPLICATE_PICTURE", f"the same bytes as {shown(twin.key)}")
            refused = self._options.duplicates == "refuse"
            outcome = replace(now, outcome="refused" if refused else "duplicate", refusal=refusal)
            self._ledger.see(outcome)
            return True
        if self._options.other_subject == "refuse" and not (known and known.sample_id):
            self._ledger.see(replace(now, outcome="refused", refusal=_other(twin)))
            return True
        return False

    def _warnings(self, now: Row) -> tuple[Refusal, ...]:
        twin = self._ledger.twin(now)
        return () if twin is None else (_other(twin),)

    def _is_held(self, now: Row, known: Row | None, said: Said) -> bool:
        """Settle it if the gallery has this content of this person."""
        if known and _has_sample_of(known, now.sha256):
            sample_id, changed = known.sample_id, known.said != now.said
        else:
            known_there = self._held(now.subject_id)
            sample_id, changed = known_there.get(now.sha256, ""), True
        if not sample_id:
            return False
        same = known is not None and known.sample_id == sample_id
        kept = known.warnings if known and same and not changed else ()
        anew = self._describe(now, sample_id, said) if changed else ()
        row = replace(
            now,
            outcome="known",
            sample_id=sample_id,
            warnings=tuple(dict.fromkeys((*now.warnings, *kept, *anew))),
            misfit=known.misfit if known and same else "",
        )
        self._ledger.see(row)
        if known and known.sample_id and not same:
            self._let_go(row, known.sample_id)
        return True

    def _held(self, of: str) -> dict[str, str]:
        """Ids of a subject's samples, by their content."""
        subject = self._who(of)
        return {each.content_sha256: each.sample_id for each in subject.samples} if subject else {}

    def _let_go(self, row: Row, old: str) -> None:
        """The file has other content than it had: with `sync` that goes."""
        if self._options.sync and self._ledger.of_sample(old) is None:
            self._ledger.exchange(row, old)

    def _who(self, of: str) -> gallery_pb2.Subject | None:
        """As the gallery knows it; pictures of one person mostly come together."""
        if self._subject[0] != of:
            self._subject = (of, self._place.subject(of))
        return self._subject[1]

    def _describe(self, now: Row, sample_id: str, said: Said) -> tuple[Refusal, ...]:
        """Write what is said anew of a subject; a sample's date stays."""
        subject = self._who(now.subject_id)
        if subject is None:
            return ()  # deleted by somebody else: what was forgotten is not enrolled again
        name = said.display_name or subject.display_name
        consent = said.consent_ref or subject.consent_ref
        labels = {**subject.labels, **said.labels}
        told = (subject.display_name, subject.consent_ref, dict(subject.labels))
        if (name, consent, labels) != told and not self._options.tries:
            self._place.describe(now.subject_id, name, labels, consent)
            self._subject = ("", None)
        return _date_warning(subject, sample_id, said)

    def _job(
        self, entry: Entry, now: Row, known: Row | None, said: Said, found: Content
    ) -> Job | None:
        now = replace(now, warnings=self._warnings(now))
        replaces = known.sample_id if known else ""
        if self._options.plan:
            self._ledger.see(replace(now, outcome="change" if replaces else "add"))
            return None
        self._ledger.see(replace(now, sample_id=replaces))
        return Job(now, found.content, said, shown(entry.key), replaces)


def _is_unchanged(entry: Entry, known: Row) -> bool:
    """By its times, which is enough where its content was taken in, or was another's."""
    taken = known.outcome in ("enrolled", "known", "duplicate")
    return taken and known.stamp != "" and stamp(entry.path) == known.stamp


def _has_sample_of(known: Row, sha256: str) -> bool:
    """Otherwise the sample is of what the file contained before."""
    taken = known.outcome in ("enrolled", "known")
    return taken and known.sample_id != "" and known.sha256 == sha256


def _date_warning(subject: gallery_pb2.Subject, sample_id: str, said: Said) -> tuple[Refusal, ...]:
    sample = next((each for each in subject.samples if each.sample_id == sample_id), None)
    if sample is None:
        return ()
    kept = sample.expire_time.ToDatetime(UTC) if sample.HasField("expire_time") else None
    if kept == said.expires:
        return ()
    goes = "never by itself" if kept is None else f"on {kept.isoformat()}"
    return (Refusal("EXPIRY_AS_BEFORE", f"the sample goes {goes}, as was said first"),)


def _with_name(entry: Entry) -> Said:
    return replace(entry.said, display_name=entry.said.display_name or display_name(entry.subject))


def _digest(said: Said) -> str:
    """To know later whether something else is said."""
    told = [said.display_name, sorted(said.labels.items()), said.consent_ref, str(said.expires)]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def _other(twin: Row) -> Refusal:
    return Refusal(
        "SAME_PICTURE_OTHER_SUBJECT",
        f"the same bytes as {shown(twin.key)}, which is {twin.subject}",
    )
