"""`kill -9` in the midst of things, briefly; `make torture` does it at length."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mien.gallery.galleries import Galleries
from mien.gallery.records import SubjectChange
from tests.gallery.plans import KINDS, Planner
from tests.gallery.torture import Torture
from tests.gallery.world import World, look, portrait_of

KILLS = 10
SEED = 3


@pytest.fixture
def torture(tmp_path: Path) -> Iterator[Torture]:
    with Torture(tmp_path, SEED) as torture:
        yield torture


def test_what_was_acknowledged_survives_a_kill_and_nothing_is_half_there(torture: Torture) -> None:
    print(f"seed {SEED}")
    torture.run(KILLS)
    assert torture.killed.total() >= KILLS


def test_a_seed_plans_the_same_again_and_reaches_every_kind(tmp_path: Path) -> None:
    planned = []
    for _ in range(2):
        planner = Planner(random.Random(5), tmp_path / "data", tmp_path)  # noqa: S311 - no secret
        world, operations = World(), []
        for kind in [*KINDS] * 3:
            plan = planner.plan(world, kind)
            assert plan.operations[plan.target].kind == kind
            for operation in plan.operations:
                operation.apply(world)
            operations += plan.operations
        planned.append((operations, portrait_of(world)))
    assert planned[0] == planned[1]


def lose_a_sample(galleries: Galleries) -> None:
    subject = galleries.subjects(galleries.page()[0].gallery_id)[0]
    galleries.delete_samples(galleries.page()[0].gallery_id, [subject.samples[0].sample_id])


def lose_a_label(galleries: Galleries) -> None:
    gallery_id = galleries.page()[0].gallery_id
    subject_id = galleries.subjects(gallery_id)[0].subject_id
    galleries.update_subject(gallery_id, subject_id, SubjectChange(labels={"site": "nowhere"}))


@pytest.mark.parametrize("lose", [lose_a_sample, lose_a_label])
def test_the_torture_finds_what_is_lost(
    torture: Torture, tmp_path: Path, lose: Callable[[Galleries], None]
) -> None:
    """That the tests above can fail."""
    torture.run(4)
    with Galleries(tmp_path / "data") as galleries:
        lose(galleries)
    with pytest.raises(AssertionError, match=r"what came before is not|was answered "):
        torture.round()


def test_the_torture_finds_bytes_of_the_deleted(torture: Torture, tmp_path: Path) -> None:
    torture.run(4)
    gone = sorted(torture.ever - torture.world.numbers)
    assert gone
    for number in gone:
        (tmp_path / "data" / f"left{number}").write_bytes(look(number).tobytes())
    with pytest.raises(AssertionError, match=r"Trace\("):
        torture.prove([torture.world])
