import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.enrolling.naming import display_name, shown, subject_id
from mien.gallery.about import check_text
from mien.gallery.ids import check_id

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)


@given(NAMES)
def test_any_name_has_an_id(name: str) -> None:
    check_id("subject", subject_id(name))
    check_text("display_name", display_name(name))


@given(NAMES, NAMES)
def test_two_names_have_two_ids(one: str, other: str) -> None:
    same = unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
    assert (subject_id(one) == subject_id(other)) == same


@given(NAMES)
def test_an_id_as_a_name_is_not_taken_for_whom_it_was_made_for(name: str) -> None:
    made = subject_id(name)
    assert (subject_id(made) == made) == (made == unicodedata.normalize("NFC", name))


@pytest.mark.parametrize("name", ["anna", "person-12", "A.B_c", "x" * 128])
def test_a_name_that_may_be_an_id_is_it(name: str) -> None:
    assert (subject_id(name), display_name(name)) == (name, "")


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("Zoë Ødegård", "Zoe-degard-u"),
        ("李小龍", "subject-u"),
        ("محمد", "subject-u"),
        ("../etc", "etc-u"),
        ("-", "subject-u"),
        ("x" * 129, "x" * 64 + "-u"),
        ("a\nb", "a-b-u"),
    ],
)
def test_any_other_is_mapped_and_kept(name: str, start: str) -> None:
    assert subject_id(name).startswith(start)
    assert display_name(name) == name


def test_an_id_stays_what_it_was_in_earlier_releases() -> None:
    assert subject_id("Zoë Ødegård") == "Zoe-degard-ue2dd3869b614f35a3228e4daeec3ab59"


def test_composition_makes_no_other_person() -> None:
    assert subject_id("Zoe\u0308") == subject_id("Zo\u00eb")


def test_bytes_that_are_no_utf_8_make_an_id_and_can_be_shown() -> None:
    name = b"m\xfcller".decode("utf-8", "surrogateescape")
    other = b"m\xfdller".decode("utf-8", "surrogateescape")
    assert subject_id(name) != subject_id(other)
    assert display_name(name) == "m?ller"
    assert shown("a\0b\ud800") == "a?b?"
