"""Many crops to vectors with a network in memory."""

import numpy as np
import torch

from mien.matching.metrics import Vectors
from mien_training.data import Images
from mien_training.networks.embedding import EmbeddingNetwork
from mien_training.process_group import ProcessGroup

BATCH = 256


@torch.no_grad()
def embed(network: EmbeddingNetwork, images: Images) -> Vectors:
    """Crops uint8 [N, H, W, 3] to unit vectors float32 [N, D]; the network is in evaluation."""
    batches = [images[start : start + BATCH] for start in range(0, max(1, len(images)), BATCH)]
    device = next(network.parameters()).device
    vectors = [network(torch.from_numpy(batch).to(device)).cpu().numpy() for batch in batches]
    return np.concatenate(vectors)


def embed_together(network: EmbeddingNetwork, images: Images, group: ProcessGroup) -> Vectors:
    """As `embed`; each process of the group embeds a part, and all get all of them."""
    parts = np.array_split(images, group.size)
    return np.concatenate(group.parts(embed(network, parts[group.rank])))
