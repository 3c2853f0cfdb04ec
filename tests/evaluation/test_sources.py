from pathlib import Path

import numpy as np
import pytest

from mien.errors import DatasetInvalid, ModelMismatch
from mien.evaluation import saved
from mien.evaluation.listing import SHOWN, listing
from mien.evaluation.sources import check_people, open_source, refuse_bundle
from mien.model.bundle import Bundle
from tests.bundles import uncalibrated
from tests.evaluation import made
from tests.faces import folder_of_people


def test_a_folder_is_all_its_pictures(bundle: Bundle, tmp_path: Path) -> None:
    source = open_source(folder_of_people(tmp_path / "people", people=3, shots=2), None)
    assert (source.kind, source.pairs) == ("folder", None)
    names = [picture.name for picture in source.pictures]
    assert names == [f"person-{p}/{s}.png" for p in range(3) for s in range(2)]
    assert source.samples(bundle).names.tolist() == names


def test_of_a_pair_file_only_its_pictures_are_embedded(bundle: Bundle, tmp_path: Path) -> None:
    images = made.lfw_folder(tmp_path / "images", people=4, shots=3)
    pairs = tmp_path / "pairs.txt"
    pairs.write_text("1\nP-0\t1\t3\nP-0\t1\tP-2\t2\n")
    source = open_source(images, pairs)
    assert [picture.name for picture in source.pictures] == [
        "P-0/P-0_0001.png", "P-0/P-0_0003.png", "P-2/P-2_0002.png",
    ]  # fmt: skip
    assert sorted(set(source.samples(bundle).people.tolist())) == ["P-0", "P-2"]


def test_saved_vectors_are_read_with_the_bundle_that_made_them(
    bundle: Bundle, tmp_path: Path
) -> None:
    people = folder_of_people(tmp_path / "people", people=2, shots=2)
    samples = open_source(people, None).samples(bundle)
    saved.save(samples, bundle.manifest.fingerprint, tmp_path / "v.npz")
    source = open_source(tmp_path / "v.npz", None)
    assert (source.kind, source.pictures) == ("vectors", ())
    np.testing.assert_array_equal(source.samples(bundle).vectors, samples.vectors)
    with pytest.raises(ModelMismatch):
        source.samples(uncalibrated(tmp_path / "other", seed=1))


def test_a_folder_that_is_named_like_vectors_is_a_folder(tmp_path: Path) -> None:
    folder = folder_of_people(tmp_path / "people.npz", people=2, shots=1)
    assert open_source(folder, None).kind == "folder"
    with pytest.raises(DatasetInvalid, match=r"gone\.npz does not exist$"):
        saved.read(tmp_path / "gone.npz", None)  # type: ignore[arg-type]


def test_fewer_than_two_people_are_refused() -> None:
    check_people(Path("folder"), 2)
    with pytest.raises(DatasetInvalid, match=r"^folder has 1 person; .* at least 2$"):
        check_people(Path("folder"), 1)
    with pytest.raises(DatasetInvalid, match="has 0 people with a usable picture; an"):
        check_people(Path("folder"), 0, "with a usable picture")


def test_a_list_is_cut_and_says_by_how_much() -> None:
    assert listing([]) == ""
    assert listing(["b", "a", "b"]) == "a, b"
    names = [f"{n:04}" for n in range(1000 + SHOWN)]
    assert listing(names).endswith("0019 and 1,000 more")
    assert listing(names[:SHOWN]).endswith("0019")


def test_a_bundle_in_the_place_of_the_people_is_named(bundle: Bundle, tmp_path: Path) -> None:
    refuse_bundle(tmp_path)
    with pytest.raises(
        DatasetInvalid, match=r"holds a manifest\.json.* BUNDLE and DATASET swapped"
    ):
        refuse_bundle(bundle.folder)
