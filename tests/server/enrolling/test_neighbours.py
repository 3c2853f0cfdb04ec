"""Who a group of samples is too alike to, against one search after the other."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mien.errors import InvalidEmbedding, NotCalibrated, UnsupportedOperatingPoint
from mien.gallery.galleries import Galleries
from mien.gallery.records import Enrolment
from mien.matching.calibration import fusion_of
from mien.matching.decision import TargetFMR, decide
from mien.matching.metrics import Vectors
from mien.model.bundle import Bundle
from mien.server.enrolling.neighbours import NEAR, Neighbours, Watch
from tests import bundles

POLICY = TargetFMR(0.2)
WATCH = Watch(POLICY, refuses=False, asked=True)


def vectors(count: int, seed: int = 0) -> Vectors:
    dice = np.random.default_rng(seed)
    made = dice.standard_normal((count, bundles.DIM)).astype(np.float32)
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True))


def item(name: str, vector: Vectors, number: int = 0) -> Enrolment:
    return Enrolment(name, vector, f"{number:064x}")


@pytest.fixture
def galleries(bundle: Bundle, tmp_path: Path) -> Iterator[Galleries]:
    """With forty people in `g`, two samples each."""
    model = bundle.manifest.fingerprint
    with Galleries(tmp_path / "data") as galleries:
        galleries.create("g", model, bundles.DIM)
        people = [item(f"p{n % 40}", each, n) for n, each in enumerate(vectors(80))]
        galleries.enroll_many("g", people, model)
        yield galleries


def test_a_group_finds_whom_searches_for_each_find(bundle: Bundle, galleries: Galleries) -> None:
    looks = vectors(25, seed=1)
    group = Neighbours(bundle, galleries).of("g", [item("new", look) for look in looks])
    rule, model = fusion_of(bundle.calibration), bundle.manifest.fingerprint
    anybody = 0
    for at, look in enumerate(looks):
        found = galleries.search("g", look, model, NEAR + 1, rule)
        decision = decide(POLICY, bundle.calibration, samples_per_subject=found.samples_per_subject)
        expected = [m.subject_id for m in found.matches if decision.accepts(m.similarity)][:NEAR]
        assert [match.subject_id for match in group.near(at, WATCH, []).matches] == expected
        anybody += len(expected)
    assert anybody


def test_of_those_that_came_before_each_subject_counts_by_its_best(
    bundle: Bundle, galleries: Galleries
) -> None:
    look, other = vectors(2, seed=2)
    close = (look + 0.1 * other) / np.linalg.norm(look + 0.1 * other)
    items = [item("a", close), item("b", look), item("b", close), item("c", -look), item("d", look)]
    group = Neighbours(bundle, galleries).of("g", items)
    found = {match.subject_id: match for match in group.near(4, WATCH, [0, 1, 2, 3]).matches}
    assert found["b"].similarity == pytest.approx(1)
    assert found["a"].similarity == pytest.approx(float(close @ look))
    assert "c" not in found
    assert "a" not in {match.subject_id for match in group.near(4, WATCH, [3]).matches}


def test_the_subject_itself_is_no_neighbour(bundle: Bundle, galleries: Galleries) -> None:
    group = Neighbours(bundle, galleries).of("g", [item("p0", vectors(80)[0])])
    assert "p0" not in {match.subject_id for match in group.near(0, WATCH, []).matches}


def test_one_that_is_no_unit_vector_is_refused_alone(bundle: Bundle, galleries: Galleries) -> None:
    broken = np.full(bundles.DIM, np.nan, np.float32)
    known = vectors(80)[0]
    group = Neighbours(bundle, galleries).of("g", [item("x", broken), item("y", known)])
    with pytest.raises(InvalidEmbedding, match="NaN"):
        group.near(0, WATCH, [])
    assert group.near(1, WATCH, [0]).matches[0].subject_id == "p0"


def test_labels_are_those_of_each(bundle: Bundle, galleries: Galleries) -> None:
    known = vectors(80)
    group = Neighbours(bundle, galleries).of("g", [item("x", known[0]), item("y", known[1])])
    near = [group.near(at, WATCH, []) for at in range(2)]
    first, second = group.written(near)
    assert (first[0].subject_id, second[0].subject_id) == ("p0", "p1")
    assert [each.rank for each in first] == list(range(1, len(first) + 1))
    assert group.written([]) == []


class TestRatesThatCannotBePromised:
    def test_are_an_error_where_they_were_asked_for(
        self, bundle: Bundle, galleries: Galleries
    ) -> None:
        group = Neighbours(bundle, galleries).of("g", [item("x", vectors(80)[0])])
        with pytest.raises(UnsupportedOperatingPoint):
            group.near(0, Watch(TargetFMR(1e-9), refuses=False, asked=True), [])
        unasked = group.near(0, Watch(TargetFMR(1e-9), refuses=False, asked=False), [])
        assert group.written([unasked]) == [[]]

    def test_without_a_calibration_nobody_is_searched_for(
        self, galleries: Galleries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bare = bundles.uncalibrated(tmp_path / "bare")
        monkeypatch.delattr(Galleries, "search_each")
        group = Neighbours(bare, galleries).of("g", [item("x", vectors(80)[0])])
        with pytest.raises(NotCalibrated):
            group.near(0, WATCH, [])
        assert not group.near(0, Watch(POLICY, refuses=True, asked=False), []).matches
