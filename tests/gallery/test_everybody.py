import numpy as np
import pytest

from mien.errors import GalleryNotFound, InvalidId
from mien.gallery.galleries import Galleries
from mien.gallery.store import store
from tests.gallery.looks import DIM, MODEL, enroll, looks


def test_everybody_is_there_by_subject_with_their_samples_by_age(
    galleries: Galleries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "BATCH", 3)
    vectors = looks(8)
    whose = ("zoe", "adam", "zoe", "bo", "adam", "adam", "zoe", "bo")
    samples = [enroll(galleries, who, v) for who, v in zip(whose, vectors, strict=True)]
    found = galleries.everybody("staff")
    assert found.subject_ids == ["adam", "bo", "zoe"]
    assert found.owners.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    order = [1, 4, 5, 3, 7, 0, 2, 6]
    assert found.sample_ids == [samples[each] for each in order]
    np.testing.assert_array_equal(found.vectors, vectors[order])
    assert (found.model_fingerprint, found.revision) == (MODEL, galleries.get("staff").revision)


def test_nobody_is_nobody(galleries: Galleries) -> None:
    found = galleries.everybody("staff")
    assert (found.subject_ids, found.sample_ids, found.revision) == ([], [], 0)
    assert found.vectors.shape == (0, DIM)
    assert len(found.owners) == 0


def test_what_changes_later_does_not_reach_it(galleries: Galleries) -> None:
    enroll(galleries, "adam", looks(1)[0])
    found = galleries.everybody("staff")
    galleries.delete_subject("staff", "adam")
    assert found.subject_ids == ["adam"]
    np.testing.assert_array_equal(found.vectors, looks(1))


def test_a_gallery_that_is_missing_is_refused(galleries: Galleries) -> None:
    with pytest.raises(GalleryNotFound):
        galleries.everybody("none")
    with pytest.raises(InvalidId):
        galleries.everybody("../x")
