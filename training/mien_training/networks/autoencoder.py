"""A supervised autoencoder."""

from torch import Tensor, nn
from torch.nn import functional as F

from mien_training.config.networks import Autoencoder
from mien_training.config.recipe import Crop
from mien_training.networks.layers import activation, convolution, embedding_head, initialise


class AutoencoderNetwork(nn.Module):
    """An encoder whose code is the embedding, and a decoder that is there for learning only."""

    def __init__(self, recipe: Autoencoder, size: Crop, dimension: int) -> None:
        super().__init__()
        self.beta = recipe.beta
        last = recipe.channels[-1]
        sizes = _sizes(recipe, size)
        height, width = sizes[-1]
        self.encoder = nn.Sequential(*_halvings(recipe))
        self.head = embedding_head(last * height * width, dimension, recipe)
        self.decoder = nn.Sequential(
            nn.Linear(dimension, last * height * width),
            nn.Unflatten(1, (last, height, width)),
            *_doublings(recipe, sizes[-2::-1]),
            nn.Conv2d(recipe.channels[0], 3, 3, padding=1),
            nn.Tanh(),
        )
        initialise(self, recipe.initialisation)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images float [B, 3, H, W] to codes [B, D], which are the raw embeddings."""
        codes: Tensor = self.head(self.encoder(images))
        return codes

    def reconstruct(self, codes: Tensor) -> Tensor:
        """Codes [B, D] to normalised images [B, 3, H, W]."""
        images: Tensor = self.decoder(codes)
        return images

    def reconstruction_error(self, images: Tensor, codes: Tensor) -> Tensor:
        """Squared error between normalised images [B, 3, H, W] and those of their codes [B, D].

        Scalar; the mean over pictures and pixels.
        """
        return F.mse_loss(self.reconstruct(codes), images)


def _sizes(recipe: Autoencoder, size: Crop) -> list[tuple[int, int]]:
    """Height and width of the picture and after each halving, which rounds up."""
    halvings = [2**times for times in range(len(recipe.channels) + 1)]
    return [(-(-size.height // by), -(-size.width // by)) for by in halvings]


def _halvings(recipe: Autoencoder) -> list[nn.Module]:
    layers: list[nn.Module] = []
    inputs = (3, *recipe.channels[:-1])
    for before, after in zip(inputs, recipe.channels, strict=True):
        layers += _layer(recipe, before, after, stride=2)
    return layers


def _doublings(recipe: Autoencoder, sizes: list[tuple[int, int]]) -> list[nn.Module]:
    """Nearest neighbours and a convolution, which leaves no checkerboard (Odena et al. 2016)."""
    layers: list[nn.Module] = []
    channels = (*recipe.channels[::-1], recipe.channels[0])
    for before, after, size in zip(channels[:-1], channels[1:], sizes, strict=True):
        layers += [nn.Upsample(size), *_layer(recipe, before, after, stride=1)]
    return layers


def _layer(recipe: Autoencoder, inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    return [
        convolution(inputs, outputs, stride=stride),
        nn.BatchNorm2d(outputs),
        activation(recipe.activation, outputs),
    ]
