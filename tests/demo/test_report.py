"""What the demo says of its methods: both rates of each, in the table, on the page and as JSON."""

import zlib
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest

from demo import measure, report
from demo.measure import Identification, Pair, Picture, Verification
from mien.matching.intervals import Interval
from mien.matching.metrics import Comparisons, Vectors
from mien.matching.paired import Difference
from mien.report.page import percent
from mien.v1.decision_pb2 import AppliedDecision
from tests.faces import folder_of_people


def compared(seed: int) -> Comparisons:
    random = np.random.default_rng(seed)
    genuine, impostor = random.normal(0.5, 0.15, 50), random.normal(0.1, 0.15, 450)
    return Comparisons(genuine.astype(np.float32), impostor.astype(np.float32))


def noisy(seed: int) -> measure.Embed:
    """Vectors that follow from picture and seed, and lie near those of the same person."""

    def embed(shown: Sequence[Picture]) -> Vectors:
        drawn = []
        for picture in shown:
            own = np.random.default_rng(zlib.crc32(picture.person.encode())).normal(size=8)
            name = f"{picture.person}/{picture.path.name}"  # the folder above is another each time
            noise = np.random.default_rng([seed, zlib.crc32(name.encode())])
            drawn.append(own + 1.5 * noise.normal(size=8))
        rows = np.array(drawn, np.float32)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)

    return embed


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> report.Findings:
    people = folder_of_people(tmp_path_factory.mktemp("people"), people=3, shots=5)
    pictures = [Picture(path.parent.name, path) for path in sorted(people.glob("*/*"))]
    pairs = [Pair(a, b, 0.9 if a.person == b.person else 0.1) for a in pictures for b in pictures]
    applied = AppliedDecision(threshold=0.5)
    both = [(pair.probe, pair.reference) for pair in pairs]
    return report.Findings(
        train_people=30,
        held_out_people=10,
        test_people=3,
        verification=Verification(pairs, 0.1, applied),
        identification=Identification(1.0, 0.0, 0.5, 0.5, applied, 80),
        tuned=measure.change(both, noisy(1), noisy(2)),
        tuned_held_out=measure.change(list(combinations(pictures, 2)), noisy(3), noisy(4)),
        triplet=compared(3),
        pixels=compared(4),
        eigenfaces=compared(5),
        rpcs=2900,
        max_difference=1e-7,
        seconds={"fit": 1.0, "enroll": 2.0, "query": 3.0},
    )


def test_every_method_has_both_rates_in_the_table_and_on_the_page(found: report.Findings) -> None:
    table, page = report.table(found).splitlines(), report.page(found)
    assert list(found.methods)[2:4] == ["mien-s, as it comes", "mien-s, fine-tuned"]
    rows = [line for line in table if line.strip().startswith(tuple(found.methods))]
    rates = [method.eer() for method in found.methods.values()]
    strict = [method.fnmr_at_fmr(0.01) for method in found.methods.values()]
    assert [line.split("  ")[-1].strip() for line in rows] == [*map(percent, [*rates, *strict])]
    for name, eer, fnmr in zip(found.methods, rates, strict, strict=True):
        cells = f"<tr><td>{name}</td><td>{percent(eer)}</td><td>{percent(fnmr)}</td></tr>"
        assert cells in page, name


def test_before_and_after_are_in_the_json_as_shares(found: report.Findings) -> None:
    told = report.summary(found)["mien-s"]
    assert found.tuned
    for when, method in (("before", found.tuned.before), ("after", found.tuned.after)):
        assert told[when] == {"eer": method.eer(), "fnmr_at_fmr_1e-2": method.fnmr_at_fmr(0.01)}
    assert told["before"] != told["after"]


def test_without_a_built_in_bundle_nothing_is_said_of_it(found: report.Findings) -> None:
    without = report.Findings(**{**vars(found), "tuned": None, "tuned_held_out": None})
    assert "mien-s" not in report.table(without)
    assert "What fine-tuning brings" not in report.page(without)
    assert report.summary(without)["mien-s"] is None


def test_a_change_is_told_with_its_interval_on_the_page_and_in_the_table(
    found: report.Findings,
) -> None:
    table, page = report.table(found), report.page(found)
    for change in (found.tuned, found.tuned_held_out):
        assert change
        for changed in (change.eer, change.strict_fnmr):
            assert report.points(changed) in table
            assert f"<td>{report.points(changed)}</td>" in page
    told = report.summary(found)["mien-s, people held out"]
    assert told["people"] == 3
    assert told["eer_change_interval95"][0] <= told["eer_change_interval95"][1]
    assert (
        report.points(Difference(0.06, 0.037, Interval(-0.05, 0.002), 0.1)) == "-2.3 (-5.0 to +0.2)"
    )


def test_a_change_is_that_of_the_rates_of_all_pairs(found: report.Findings) -> None:
    pictures = [
        pair.probe for pair in found.verification.pairs[:: len(found.verification.pairs) // 15]
    ]
    pairs = list(combinations(dict.fromkeys(pictures), 2))
    before, after = noisy(5), noisy(6)
    change = measure.change(pairs, before, after)
    for method, embed in ((change.before, before), (change.after, after)):
        vectors = dict(zip(pictures, embed(pictures), strict=True))
        likes = {pair: float(vectors[pair[0]] @ vectors[pair[1]]) for pair in pairs}
        one = sorted(like for (a, b), like in likes.items() if a.person == b.person)
        two = sorted(like for (a, b), like in likes.items() if a.person != b.person)
        assert method.genuine == pytest.approx(one, abs=1e-6)
        assert method.impostor == pytest.approx(two, abs=1e-6)
    assert change.people == 3
    assert change.eer.first == pytest.approx(change.before.eer())
    assert change.eer.second == pytest.approx(change.after.eer())
    assert change.strict_fnmr.second == pytest.approx(change.after.fnmr_at_fmr(0.01))
