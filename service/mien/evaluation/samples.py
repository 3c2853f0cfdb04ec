"""What one bundle made of the pictures of an evaluation."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from mien.matching.metrics import Vectors

Names = npt.NDArray[np.str_]
"""str [N]."""


@dataclass(frozen=True)
class Failure:
    """A picture without a vector: whose it is, its name, and the `reason` of the error."""

    person: str
    name: str
    reason: str


@dataclass(frozen=True)
class Samples:
    """N unit vectors, and what could not become one.

    `vectors` float32 [N, D]; `people` str [N], whose each is; `names` str [N], each once, in the
    form `<person>/<picture>`. `failures` is None where nobody recorded them.
    """

    vectors: Vectors
    people: Names
    names: Names
    failures: tuple[Failure, ...] | None

    @property
    def person_numbers(self) -> npt.NDArray[np.int64]:
        """int64 [N], whose each is, numbered from 0 in order of name."""
        return np.unique(self.people, return_inverse=True)[1].astype(np.int64)

    @property
    def everybody(self) -> set[str]:
        """All people, also those without a vector, as far as that was recorded."""
        return {*self.people.tolist(), *(failure.person for failure in self.failures or ())}

    def named(self, names: Names) -> Self:
        """Only the samples of these names; the failures stay."""
        kept = np.isin(self.names, names)
        return type(self)(self.vectors[kept], self.people[kept], self.names[kept], self.failures)
