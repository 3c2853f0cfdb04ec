"""Every loss of a recipe on batches that are empty, of one person, or without a pair: never NaN."""

import math
from collections.abc import Iterator
from typing import get_args

import pytest
import torch
from torch import Tensor

from mien_training.config.losses import Head, Losses, Selection
from mien_training.losses import WeightedSum
from mien_training.losses.center import CenterLoss
from mien_training.losses.term import Term
from mien_training.spread import spread
from tests.training.batch import DEGENERATE, DIMENSION, LABELS, PEOPLE, dtypes, embeddings

ALONE_MEANINGLESS = {"center"}
"""A recipe refuses it alone, so it is tried beside a softmax that weighs nothing."""
COUNTED_BY_PICTURE = {"softmax", "squared_error", "center"}
"""The others need two pictures to say anything."""

degenerate = pytest.mark.parametrize("labels", DEGENERATE.values(), ids=DEGENERATE)


def kinds_of(union: object) -> Iterator[str]:
    for model in get_args(get_args(union)[0]):
        yield get_args(model.model_fields["kind"].annotation)[0]


def forms() -> Iterator[tuple[str, dict[str, object]]]:
    """Every key of `Losses`, with every head, selection, distance and space that it has."""
    for key, field in Losses.model_fields.items():
        given: list[dict[str, object]] = [{}]
        model = get_args(field.annotation)[0]
        if "head" in model.model_fields:
            given = [{"head": {"kind": kind}} for kind in kinds_of(Head)]
        if "selection" in model.model_fields:
            given = [{"selection": {"kind": kind}} for kind in kinds_of(Selection)]
        for name in {"distance", "space"} & set(model.model_fields):
            choices = get_args(model.model_fields[name].annotation)
            given = [{**one, name: choice} for one in given for choice in choices]
        yield from ((key, one) for one in given)


FORMS = list(forms())
every = pytest.mark.parametrize(("key", "keys"), FORMS, ids=str)


def built(key: str, keys: dict[str, object], dtype: torch.dtype) -> WeightedSum:
    tables: dict[str, dict[str, object]] = {key: keys}
    if key in ALONE_MEANINGLESS:
        tables["softmax"] = {"weight": 0.0}
    return WeightedSum(Losses.model_validate(tables), PEOPLE, DIMENSION).to(dtype)


def taken(total: WeightedSum, raw: Tensor, labels: Tensor) -> Term:
    """The loss of a batch, after its gradient was; nothing of it is NaN or infinite."""
    term: Term = total(raw, labels)
    term.loss.backward()
    assert torch.isfinite(term.loss)
    assert all(math.isfinite(value) for value in term.log.values())
    assert raw.grad is not None
    for tensor in (raw, *total.parameters()):
        assert tensor.grad is None or torch.isfinite(tensor.grad).all()
    assert all(state.isfinite().all() for state in total.buffers())
    return term


def test_every_key_is_tried() -> None:
    assert {key for key, _ in FORMS} == set(Losses.model_fields)
    assert len(FORMS) == 3 + 1 + 2 + 5 * 2 + 2 + 2  # heads, spaces, selections by distance


@dtypes
@degenerate
@every
def test_a_degenerate_batch_gives_a_finite_loss_and_gradient(
    key: str, keys: dict[str, object], labels: Tensor, dtype: torch.dtype
) -> None:
    taken(built(key, keys, dtype), embeddings(dtype, len(labels)), labels)


@dtypes
@pytest.mark.parametrize("training", [True, False])
@every
def test_an_empty_batch_has_a_loss_of_zero_and_moves_nothing(
    key: str, keys: dict[str, object], training: bool, dtype: torch.dtype
) -> None:
    total = built(key, keys, dtype).train(training)
    before = {name: value.clone() for name, value in total.state_dict().items()}
    term = taken(total, embeddings(dtype, 0), DEGENERATE["nobody"])
    assert term.log[key] == 0
    assert term.loss.item() == 0
    for weight in total.parameters():
        assert weight.grad is None or torch.count_nonzero(weight.grad) == 0
    for name, value in total.state_dict().items():
        assert torch.equal(value, before[name])


@dtypes
@every
@pytest.mark.parametrize("value", [1.0, 0.0])
def test_where_all_embeddings_are_one_nothing_is_nan(
    value: float, key: str, keys: dict[str, object], dtype: torch.dtype
) -> None:
    raw = torch.full((len(LABELS), DIMENSION), value, dtype=dtype, requires_grad=True)
    taken(built(key, keys, dtype), raw, LABELS)


@every
def test_one_picture_has_a_loss_only_where_pictures_are_counted_and_not_pairs(
    key: str, keys: dict[str, object]
) -> None:
    labels = DEGENERATE["one picture"]
    term = taken(built(key, keys, torch.float64), embeddings(torch.float64, 1), labels)
    assert (term.log[key] != 0) == (key in COUNTED_BY_PICTURE)


def test_centres_stay_where_they_are_without_a_picture() -> None:
    total = built("center", {}, torch.float64)
    center = total.terms["center"]
    assert isinstance(center, CenterLoss)
    total(embeddings(torch.float64), LABELS)
    moved = center.centers.clone()
    total(embeddings(torch.float64, 0), DEGENERATE["nobody"])
    assert torch.equal(center.centers, moved)


@dtypes
@degenerate
def test_the_spread_of_a_degenerate_batch_has_no_nan(labels: Tensor, dtype: torch.dtype) -> None:
    columns = spread(embeddings(dtype, len(labels)), labels)
    assert all(math.isfinite(value) for value in columns.values())
    assert ("within_distance" in columns) == (len(labels) > len(set(labels.tolist())))
    assert ("between_distance" in columns) == (len(set(labels.tolist())) > 1)
    if len(labels) == 0:
        assert columns == {"embedding_norm": 0}
