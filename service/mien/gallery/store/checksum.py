"""Checksums of rows, by which a flipped bit in the file is found.

SQLite has checksums in its log but none in its file. A row's covers what it says of a gallery, a
subject or a sample, a sample's also its content hash and its vector. It leaves out keys, which the
database's own structure ties down, and what changes without a checksum: revisions and times of the
last match. CRC-32 (zlib, ISO 3309) finds every single flipped bit. It is no seal: whoever can write
to the file can write a checksum.
"""

import json
import sqlite3
import zlib
from collections.abc import Mapping


def of_sample(  # noqa: PLR0913, PLR0917 - a row's columns, also called from SQL
    sample_id: str,
    created: int,
    source: str,
    quality: str | None,
    expires: int | None,
    content_sha256: bytes,
    vector: bytes,
) -> int:
    described = f"{sample_id}\0{created}\0{source}\0{quality}\0{expires}".encode()
    return zlib.crc32(vector, zlib.crc32(content_sha256, zlib.crc32(described)))


def of_subject(  # noqa: PLR0913, PLR0917 - as above
    subject_id: str,
    display_name: str,
    consent_ref: str,
    created: int,
    expires: int | None,
    labels: str,
) -> int:
    """`labels` as `write_labels` gives them."""
    return zlib.crc32(
        f"{subject_id}\0{display_name}\0{consent_ref}\0{created}\0{expires}\0{labels}".encode()
    )


def of_gallery(  # noqa: PLR0913, PLR0917 - as above
    gallery_id: str,
    model_fingerprint: str,
    dim: int,
    created: int,
    max_age: int | None,
    since_last_match: int | None,
    labels: str,
) -> int:
    """`labels` as `write_labels` gives them."""
    return zlib.crc32(
        f"{gallery_id}\0{model_fingerprint}\0{dim}\0{created}\0{max_age}\0{since_last_match}"
        f"\0{labels}".encode()
    )


def write_labels(labels: Mapping[str, str]) -> str:
    """One text for one set of labels, whatever their order."""
    if not labels:
        return "{}"
    return json.dumps(dict(sorted(labels.items())), ensure_ascii=False)


def teach(connection: sqlite3.Connection) -> None:
    """Make the checksums known to SQL, for migrations."""
    for name, function, columns in (
        ("crc_of_sample", of_sample, 7),
        ("crc_of_subject", of_subject, 6),
        ("crc_of_gallery", of_gallery, 7),
    ):
        connection.create_function(name, columns, function, deterministic=True)
