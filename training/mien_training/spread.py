"""How far apart the embeddings of a batch lie."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mien_training import pairs


@torch.no_grad()
def spread(raw: Tensor, labels: Tensor) -> dict[str, float]:
    """Of raw embeddings [B, D] with labels int64 [B], what is worth a column in the log.

    embedding_norm: mean length before normalisation, 0 of an empty batch. within_distance,
    between_distance: mean Euclidean distance, in [0, 2], of the unit vectors of one person and of
    different people; left out where the batch has no two such pictures.
    """
    unit = F.normalize(raw)
    distances = torch.cdist(unit, unit, compute_mode="donot_use_mm_for_euclid_dist")
    within, between = pairs.same(labels), pairs.different(labels)
    columns = {"embedding_norm": raw.norm(dim=1).sum().item() / max(len(raw), 1)}
    for name, chosen in (("within_distance", within), ("between_distance", between)):
        if chosen.any():
            columns[name] = distances[chosen].mean().item()
    return columns
