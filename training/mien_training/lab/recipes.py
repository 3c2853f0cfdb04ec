"""What experiments start from; they change what they are about."""

from typing import Any

from mien_training.config.augmentation import Augmentation, Flip, Rotation, Shift
from mien_training.config.losses import LinearHead, Losses, Softmax
from mien_training.config.networks import Cnn
from mien_training.config.optimisation import Adam, Constant, Cosine, Sgd
from mien_training.config.recipe import Batches, Crop, Recipe

DIGIT_SIDE, FACE_SIDE = 16, 32
"""Pixels. On the ORL faces 32, 48 and 64 px gave an EER of 9.8, 10.7 and 9.8 % after 20 epochs."""
DIGIT_BATCH = 32
"""Of `learning.Shuffled`; 38 steps an epoch."""
PLAIN_SOFTMAX = Losses(softmax=Softmax(head=LinearHead(kind="linear")))


def digits(seed: int, epochs: int, **changed: Any) -> Recipe:
    """Ten classes by a small CNN without batch normalisation, for `Shuffled` batches.

    `changed` are keys of the recipe with their models, such as network=Cnn(…).
    """
    known: dict[str, Any] = {
        "seed": seed,
        "epochs": epochs,
        "validation_people": 0.0,
        "dimension": 32,
        "flip_embedding": False,
        "crop": Crop(height=DIGIT_SIDE, width=DIGIT_SIDE),
        "network": Cnn(kind="cnn", channels=(16, 32), batch_normalisation=False, activation="relu"),
        "losses": PLAIN_SOFTMAX,
        "optimiser": Adam(kind="adam"),
        "schedule": Constant(kind="constant"),
    }
    return Recipe(**(known | changed))


def faces(seed: int, epochs: int, **changed: Any) -> Recipe:
    """Embeddings of people by a four-layer CNN, on P×K batches: 9 an epoch of ORL's 30 people."""
    known: dict[str, Any] = {
        "seed": seed,
        "epochs": epochs,
        "validation_people": 0.0,
        "dimension": 64,
        "crop": Crop(height=FACE_SIDE, width=FACE_SIDE),
        "batches": Batches(people=10, pictures=4),
        "augmentation": Augmentation(flip=Flip(), rotation=Rotation(), shift=Shift()),
        "network": Cnn(kind="cnn", channels=(16, 32, 64, 128), activation="relu"),
        "losses": Losses(softmax=Softmax()),
        "optimiser": Sgd(kind="sgd"),
        "schedule": Cosine(kind="cosine", warm_up_epochs=1),
    }
    return Recipe(**(known | changed))
