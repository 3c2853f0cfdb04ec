"""What may be said of subjects, samples and galleries: labels, texts, hashes, dates."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from mien.errors import InvalidRequest
from mien.gallery.ids import PATTERN, check_id
from mien.gallery.records import About, Retention, SubjectChange
from mien.gallery.times import to_microseconds

MAX_LABELS = 64
MAX_LABEL = 256
"""Characters of a label's value; its name is as an id."""
MAX_TEXT = 1024
"""Characters of a display name, a consent reference or a source."""

MAX_SAMPLE_IDS = 10_000
"""Samples that one call deletes at most."""

SHA256 = re.compile(r"[0-9a-f]{64}")


def check_sha256(content_sha256: str) -> None:
    """Raise InvalidRequest unless it is 64 hexadecimal digits in lower case."""
    if not SHA256.fullmatch(content_sha256):
        raise InvalidRequest(
            f"content_sha256 is {content_sha256[:80]!r}; give 64 hexadecimal digits in lower case"
        )


def check_about(about: About) -> None:
    """Raise InvalidRequest unless it may be kept."""
    check_labels(about.labels)
    check_text("display_name", about.display_name)
    check_text("consent_ref", about.consent_ref)
    check_text("source", about.source)
    if about.quality is not None:
        for warning in about.quality.warnings:
            check_text("quality warning", warning)
    check_moment(about.expires)


def check_change(change: SubjectChange) -> None:
    """Raise InvalidRequest unless it says something and that may be kept."""
    if change == SubjectChange():
        raise InvalidRequest("nothing is to be changed; give what is new")
    if change.expires is not None and change.keep_for_ever:
        raise InvalidRequest("expires and keep_for_ever exclude each other; give one")
    check_labels(change.labels or {})
    check_text("display_name", change.display_name or "")
    check_text("consent_ref", change.consent_ref or "")
    check_moment(change.expires)


def check_labels(labels: Mapping[str, str]) -> None:
    """Raise InvalidRequest unless at most MAX_LABELS, named as ids are, with short values."""
    if len(labels) > MAX_LABELS:
        raise InvalidRequest(f"{len(labels)} labels are too many; give at most {MAX_LABELS}")
    for name, value in labels.items():
        if not PATTERN.fullmatch(name):
            raise InvalidRequest(
                f"label name {name[:140]!r} is not accepted; use 1 to 128 letters, digits, '_', "
                "'.' and '-' of ASCII, beginning with a letter or a digit"
            )
        check_text(f"label {name!r}", value, MAX_LABEL)


def check_text(noun: str, text: str, limit: int = MAX_TEXT) -> None:
    """Raise InvalidRequest if it is too long or is no text that can be kept as UTF-8."""
    if len(text) > limit:
        raise InvalidRequest(f"{noun} has {len(text)} characters; use at most {limit}")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidRequest(f"{noun} is {text[:80]!r}; leave out NUL and unpaired surrogates")


def check_moment(moment: datetime | None) -> None:
    """Raise InvalidRequest if it has no time zone."""
    if moment is not None:
        to_microseconds(moment)


def check_retention(retention: Retention) -> None:
    """Raise InvalidRequest unless each duration is longer than nothing."""
    for name, value in (
        ("max_age", retention.max_age),
        ("since_last_match", retention.since_last_match),
    ):
        if value is not None and value <= timedelta(0):
            raise InvalidRequest(f"{name} of {value} keeps nobody; give more than 0, or none")


def check_merge(into: str, others: Sequence[str]) -> None:
    """Raise InvalidId or InvalidRequest unless these are at least two different subjects."""
    for each in (into, *others):
        check_id("subject", each)
    if not others:
        raise InvalidRequest(f"nothing is to be merged into {into!r}; name the other subjects")
    if len({into, *others}) <= len(others):
        raise InvalidRequest(
            f"a subject is named twice among {[into, *others][:10]}; name each once"
        )


def check_sample_ids(sample_ids: Sequence[str]) -> None:
    """Raise InvalidId or InvalidRequest unless these are 1 to MAX_SAMPLE_IDS ids."""
    if not 1 <= len(sample_ids) <= MAX_SAMPLE_IDS:
        raise InvalidRequest(f"{len(sample_ids)} sample ids; a call takes 1 to {MAX_SAMPLE_IDS}")
    for each in sample_ids:
        check_id("sample", each)


def check_limit(limit: int) -> None:
    """Raise InvalidRequest unless it is 1 or more."""
    if limit < 1:
        raise InvalidRequest(f"a limit of {limit} asks for nothing; give 1 or more")
