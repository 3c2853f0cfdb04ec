"""What a supervised autoencoder adds to the losses."""

from torch import Tensor

from mien_training.losses.term import Term
from mien_training.networks.autoencoder import AutoencoderNetwork
from mien_training.networks.embedding import EmbeddingNetwork, normalised
from mien_training.process_group import ALONE, ProcessGroup


def add_reconstruction(
    term: Term,
    network: EmbeddingNetwork,
    images: Tensor,
    own: Tensor,
    group: ProcessGroup = ALONE,
) -> Term:
    """Add β times the squared error of the decoder; without a decoder the loss stays as it is.

    `own` are the embeddings float32 [B/n, D] of this process's crops uint8 [B/n, H, W, 3]. The
    error is the mean over all n processes; its gradient here is that of the own share.
    """
    backbone = network.backbone
    if not isinstance(backbone, AutoencoderNetwork):
        return term
    error = backbone.reconstruction_error(normalised(images), own)
    loss = term.loss + backbone.beta * error / group.size
    everywhere = group.mean(error).item()
    told = term.loss.item() + backbone.beta * everywhere
    return Term(loss, {**term.log, "loss": told, "reconstruction": everywhere})
