"""A history of changes of which each follows from its number, and a child process that makes it.

`python -m tests.gallery.history DATA FIRST` makes the changes from FIRST on for ever and prints the
number of each once it is acknowledged.
"""

import sys
from itertools import count
from pathlib import Path

from mien.errors import SubjectNotFound
from mien.gallery.galleries import Galleries
from mien.matching.metrics import Vectors
from tests.gallery.looks import enroll, looks

People = dict[str, list[Vectors]]


def subject(number: int) -> str:
    return f"person{number % 13}"


def deletes(number: int) -> bool:
    return number % 7 == 6


def change(galleries: Galleries, number: int) -> None:
    if not deletes(number):
        enroll(galleries, subject(number), looks(1, seed=number)[0])
        return
    try:
        galleries.delete_subject("staff", subject(3 * number))
    except SubjectNotFound:
        return


def people_after(changes: int) -> People:
    """Who is enrolled after the first so many changes."""
    people: People = {}
    for number in range(changes):
        if deletes(number):
            people.pop(subject(3 * number), None)
        else:
            people.setdefault(subject(number), []).append(looks(1, seed=number)[0])
    return people


if __name__ == "__main__":
    with Galleries(Path(sys.argv[1])) as galleries:
        for number in count(int(sys.argv[2])):
            change(galleries, number)
            print(number, flush=True)
