"""What one bundle made of the pictures of an evaluation."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from mien.evaluation.contract import Role
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
    form `<person>/<picture>`, or `<role>/<person>/<picture>` where folders have roles. `failures`
    is None where nobody recorded them.
    """

    vectors: Vectors
    people: Names
    names: Names
    failures: tuple[Failure, ...] | None
    left_out: tuple[tuple[str, str], ...] = ()
    """Person and name of what has a vector and is not compared, since another bundle's has none."""

    @property
    def person_numbers(self) -> npt.NDArray[np.int64]:
        """int64 [N], whose each is, numbered from 0 in order of name."""
        return np.unique(self.people, return_inverse=True)[1].astype(np.int64)

    def has_role(self, role: Role) -> npt.NDArray[np.bool_]:
        """bool [N]: it comes from the folder of this role (`mien.evaluation.roles`)."""
        return np.char.startswith(self.names, f"{role}/")

    def of_role(self, role: Role) -> Self:
        """Samples and failures of one role's folder."""
        kept = self.has_role(role)
        failures = self.failures and tuple(
            failure for failure in self.failures if failure.name.startswith(f"{role}/")
        )
        out = tuple(each for each in self.left_out if each[1].startswith(f"{role}/"))
        return type(self)(self.vectors[kept], self.people[kept], self.names[kept], failures, out)

    @property
    def usable_people(self) -> set[str]:
        """Who has a vector, also one that is left out."""
        return {*self.people.tolist(), *(person for person, _ in self.left_out)}

    @property
    def everybody(self) -> set[str]:
        """All people, also those without a vector, as far as that was recorded."""
        return {*self.usable_people, *(failure.person for failure in self.failures or ())}

    def named(self, names: Names) -> Self:
        """Only the samples of these names; the failures stay, and the others are left out."""
        kept = np.isin(self.names, names)
        others = zip(self.people[~kept].tolist(), self.names[~kept].tolist(), strict=True)
        out = (*self.left_out, *others)
        return type(self)(
            self.vectors[kept], self.people[kept], self.names[kept], self.failures, out
        )
