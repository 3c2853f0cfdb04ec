"""Two bundles on the pictures that both could use."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.evaluation import pair_file
from mien.evaluation.measured import Measured
from mien.evaluation.samples import Failure, Samples
from mien.evaluation.sources import Source
from mien.model.bundle import Bundle
from tests.evaluation import made

FOLDER = Source(Path("people"), "folder", None, ())


def without(samples: Samples, rows: list[int]) -> Samples:
    """These rows failed."""
    kept = np.setdiff1d(np.arange(len(samples.names)), rows)
    failed = [Failure(str(samples.people[r]), str(samples.names[r]), "NO_FACE") for r in rows]
    return Samples(samples.vectors[kept], samples.people[kept], samples.names[kept], tuple(failed))


def test_both_are_compared_on_the_same_pictures_and_failures_stay_apart(bundle: Bundle) -> None:
    one = without(made.samples(people=8, shots=4), [0, 5])
    other = without(made.samples(people=8, shots=4, spread=0.9), [5, 9, 17])
    this, those = one.named(other.names), other.named(one.names)
    assert this.names.tolist() == those.names.tolist()
    assert len(this.names) == 32 - 4
    first, second = (Measured.of(bundle, FOLDER, s, 0) for s in (this, those))
    found = first.against(second)
    assert found.verification.genuine_comparisons == len(first.compared.comparisons.genuine)
    assert found.acquisition is not None
    assert found.acquisition.failures_to_acquire == 3
    assert found.acquisition.pictures == 32
    assert found.acquisition.failures_to_enrol == 0
    assert found.compared_pairs == 28 * 27 / 2
    assert found.lfw is None
    eer = found.differences[0]
    assert eer.this == pytest.approx(first.compared.comparisons.eer(), abs=1e-6)
    assert eer.other == pytest.approx(second.compared.comparisons.eer(), abs=1e-6)


def test_pairs_of_a_picture_that_one_bundle_could_not_use_are_left_out_for_both(
    bundle: Bundle, tmp_path: Path
) -> None:
    lines = [f"person-{a:03}\t1\t2" for a in range(8)]
    lines += [f"person-{a:03}\t1\tperson-{(a + 1) % 8:03}\t3" for a in range(8)]
    (tmp_path / "pairs.txt").write_text("8\n" + "\n".join(lines))
    source = Source(Path("people"), "folder", pair_file.read(tmp_path / "pairs.txt"), ())
    whole = made.samples(people=8, shots=4)
    named = [f"{p}/{p}_{row % 4:04}.png" for row, p in enumerate(whole.people.tolist())]
    whole = replace(whole, names=np.array(named))
    one, other = without(whole, [5]), without(whole, [18])
    pair = (one.named(other.names), other.named(one.names))
    first, second = (Measured.of(bundle, source, s, 0) for s in pair)
    assert first.left_out_pairs == second.left_out_pairs == 2 + 1
    assert first.against(second).compared_pairs == 16 - 3


def test_the_direction_of_a_difference_is_the_others_less_this(bundle: Bundle) -> None:
    good, bad = made.samples(people=12, shots=4), made.samples(people=12, shots=4, spread=3)
    first, second = (Measured.of(bundle, FOLDER, s, 0) for s in (good, bad))
    forth, back = first.against(second).differences[0], second.against(first).differences[0]
    assert forth.difference == -back.difference > 0
    assert back.difference_interval95 is not None
    low, high = back.difference_interval95
    assert forth.difference_interval95 == pytest.approx((-high, -low))
    assert forth.p_value == back.p_value


def test_a_folder_has_no_pairs_to_leave_out(bundle: Bundle) -> None:
    measured = Measured.of(bundle, FOLDER, made.samples(people=3, shots=2), 0)
    assert measured.left_out_pairs == 0
    assert measured.lfw is None
    assert replace(measured, seed=1).listed().people_pairs == 3
