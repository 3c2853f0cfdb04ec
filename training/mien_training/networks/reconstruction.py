"""What a supervised autoencoder adds to the losses."""

from torch import Tensor

from mien_training.losses.term import Term
from mien_training.networks.autoencoder import AutoencoderNetwork
from mien_training.networks.embedding import EmbeddingNetwork, normalised


def add_reconstruction(term: Term, network: EmbeddingNetwork, images: Tensor, raw: Tensor) -> Term:
    """Add β times the squared error of the decoder; without a decoder the loss stays as it is.

    `raw` are the embeddings float32 [B, D] of the crops uint8 [B, H, W, 3].
    """
    backbone = network.backbone
    if not isinstance(backbone, AutoencoderNetwork):
        return term
    error = backbone.reconstruction_error(normalised(images.to(raw.device)), raw)
    loss = term.loss + backbone.beta * error
    return Term(loss, {**term.log, "loss": loss.item(), "reconstruction": error.item()})
