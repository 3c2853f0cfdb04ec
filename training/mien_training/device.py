"""Where a network learns, and how exactly."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mien.errors import RecipeInvalid
from mien_training.config.recipe import Recipe
from mien_training.process_group import is_launched, local_rank


def choose(name: str) -> torch.device:
    """The device that a recipe asks for; of several processes on a machine each takes a GPU.

    Raises RecipeInvalid: torch finds none of that kind, or too few.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    found = [kind for kind, is_there in there.items() if is_there] + ["cpu"]
    kind = found[0] if name == "auto" else name
    if kind not in found:
        raise RecipeInvalid(
            f'device is "{name}", but torch {torch.__version__} finds none here; '
            f'there is {" and ".join(found)}, or set device="auto"'
        )
    if kind == "cuda":
        return torch.device(kind, _own_gpu())
    if kind == "mps" and is_launched():
        raise RecipeInvalid('several processes cannot share "mps"; set device="cpu"')
    return torch.device(kind)


def _own_gpu() -> int:
    if local_rank() >= torch.cuda.device_count():
        raise RecipeInvalid(
            f"process {local_rank()} of this machine has no GPU of its own: there are "
            f"{torch.cuda.device_count()}; start as many processes as GPUs"
        )
    return local_rank()


def autocast(recipe: Recipe, device: torch.device) -> torch.autocast:
    """Let the network calculate in the recipe's precision within this."""
    return torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16")


@contextmanager
def reproducible(threads: int, device: torch.device) -> Iterator[None]:
    """Deterministic kernels on so many threads; afterwards torch is as it was.

    Only on a CPU: some of the kernels that networks need have no deterministic form elsewhere.
    """
    was_deterministic = torch.are_deterministic_algorithms_enabled()
    had_threads = torch.get_num_threads()
    torch.use_deterministic_algorithms(device.type == "cpu")
    torch.set_num_threads(threads or had_threads)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.use_deterministic_algorithms(was_deterministic)
        torch.set_num_threads(had_threads)
