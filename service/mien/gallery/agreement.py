"""Whether what is derived from the store says what the store says."""

from collections.abc import Iterator

import numpy as np

from mien.gallery.index.nearest import Ints
from mien.gallery.index.rows import Rows
from mien.gallery.records import Finding
from mien.gallery.store.contents import Contents, Owners


def disagreements(
    what: str, rows: Rows, owners: Owners, contents: Iterator[Contents]
) -> list[Finding]:
    """How rows differ from the store's samples: by who is there, by whose they are, by vectors.

    `what` is the name of the findings, and `contents` are all samples of the gallery.
    """
    order = np.argsort(rows.keys)
    keys = rows.keys[order]
    if not np.array_equal(keys, owners.keys):
        more, fewer = np.setdiff1d(keys, owners.keys), np.setdiff1d(owners.keys, keys)
        return [
            Finding(what, f"{len(more)} samples are not in the store, {len(fewer)} are missing")
        ]
    findings = []
    if moved := int(np.count_nonzero(rows.subjects[order] != owners.subjects)):
        findings.append(Finding(what, f"{moved} samples are another subject's in the store"))
    if wrong := sum(_wrong(rows, order, keys, batch) for batch in contents):
        findings.append(Finding(what, f"{wrong} vectors differ from the store's"))
    return findings


def _wrong(rows: Rows, order: Ints, keys: Ints, batch: Contents) -> int:
    """How many of the batch's vectors are others in the rows."""
    places = order[np.searchsorted(keys, batch.keys)]
    return int(np.count_nonzero((rows.vectors[places] != batch.vectors).any(axis=1)))
