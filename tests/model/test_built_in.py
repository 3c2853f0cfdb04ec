"""The bundles that come with the package: found by name, taken where none is named, and told of.

The tests put a small bundle where the built-in ones lie. The last ones look at the real one, where
it is there.
"""

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mien.cli.main import main
from mien.client import Client
from mien.errors import BundleInvalid
from mien.model import built_in
from mien.model.bundle import Bundle, load
from mien.model.golden import golden_crops
from mien.model.manifest import MANIFEST
from mien.model.proof import prove
from mien.server.server import Server
from mien.server.settings import Settings
from tests import bundles
from tests.faces import encoded, folder_of_people

ROOT = Path(__file__).parents[2]
LARGEST = 6_000_000
"""Bytes that the built-in bundle may have in the wheel and on the disk."""
SHIPPED = built_in.FOLDER / built_in.DEFAULT


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the built-in bundles lie; without any. The work is done in another empty folder."""
    home, work = tmp_path / "came-with-mien", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    monkeypatch.setattr(built_in, "FOLDER", home)
    monkeypatch.chdir(work)
    return home


@pytest.fixture
def small(folder: Path) -> Bundle:
    """The default, though a small one."""
    return bundles.calibrated(folder / built_in.DEFAULT)


def mien(*arguments: str | Path) -> Result:
    in_large_pages = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}  # or `serve` would begin anew
    return CliRunner(env=in_large_pages).invoke(main, list(map(str, arguments)), prog_name="mien")


def test_a_name_or_nothing_finds_the_built_in_one(small: Bundle) -> None:
    assert built_in.names() == ["mien-s"]
    assert built_in.find() == built_in.find(Path("mien-s")) == small.folder
    assert built_in.is_built_in(built_in.find())


def test_a_folder_of_that_name_goes_first(small: Bundle) -> None:
    own = bundles.uncalibrated(Path("mien-s"), seed=5)
    assert load(built_in.find(Path("mien-s"))).manifest == own.manifest != small.manifest
    assert not built_in.is_built_in(built_in.find())


def test_any_other_path_is_left_as_it_is(small: Bundle) -> None:
    assert built_in.find(Path("elsewhere/mien-s")) == Path("elsewhere/mien-s")
    assert not built_in.is_built_in(Path("elsewhere/mien-s"))


def test_what_is_no_bundle_is_not_taken_for_one(folder: Path) -> None:
    (folder / "notes").mkdir()
    (folder / "README.md").write_text("about bundles")
    assert built_in.names() == []


@pytest.mark.parametrize(
    "command",
    [
        ("serve",),
        ("serve", "mien-s"),
        ("bundle", "inspect"),
        ("bundle", "check"),
        ("evaluate", "people"),
        ("bundle", "compare", "mien-s", "mien-s", "people"),
        ("enroll", "people", "--gallery", "g", "--data", "data", "--create"),
        ("gallery", "duplicates", "g", "--fmr", "0.1", "--data", "data"),
    ],
)
def test_without_one_every_command_says_so(folder: Path, command: tuple[str, ...]) -> None:
    folder_of_people(Path("people"), people=2, shots=2)
    refused = mien(*command)
    assert refused.exit_code == 2, refused.output
    (line,) = refused.stderr.strip().splitlines()
    assert "no built-in bundle: mien-s did not come with this installation of mien" in line
    assert "name the folder of a bundle" in line
    assert not Path("data").exists()


def test_without_one_nothing_is_listed(folder: Path) -> None:
    assert mien("bundle", "list").stdout == "no bundle came with this installation of mien\n"
    assert json.loads(mien("bundle", "list", "--json").stdout) == []


def test_the_list_tells_what_it_is_and_where(small: Bundle) -> None:
    bundles.uncalibrated(small.folder.parent / "another", seed=1)
    other, line = mien("bundle", "list").stdout.splitlines()
    manifest = small.manifest
    for told in (manifest.name, manifest.fingerprint[:12], manifest.license, str(small.folder)):
        assert told in line
    assert "crops of 48×48 (none)  16 numbers  0." in line
    assert line.endswith("taken where none is named")
    assert not other.endswith("taken where none is named")
    _, told = json.loads(mien("bundle", "list", "--json").stdout)
    assert told["bytes"] == sum(file.stat().st_size for file in small.folder.iterdir())
    assert (told["default"], told["folder"]) == (True, str(small.folder))
    assert told["crop"] == {"height": 48, "width": 48}


def test_inspect_and_check_take_it(small: Bundle) -> None:
    told = json.loads(mien("bundle", "inspect", "--json").stdout)
    assert told["fingerprint"] == small.manifest.fingerprint
    checked = mien("bundle", "check", "mien-s")
    assert checked.exit_code == 0
    assert "golden vectors" in checked.stdout


def test_evaluate_takes_it_when_only_the_people_are_named(small: Bundle) -> None:
    people = folder_of_people(Path("people"), people=4, shots=3)
    report = json.loads(mien("evaluate", people, "--json").stdout)
    assert report["bundle"]["fingerprint"] == small.manifest.fingerprint
    named = json.loads(mien("evaluate", "mien-s", people, "--json").stdout)
    assert named == report
    missing = mien("evaluate")
    assert missing.exit_code == 2
    assert "Missing argument" in missing.stderr


def test_compare_and_against_know_its_name(small: Bundle) -> None:
    people = folder_of_people(Path("people"), people=4, shots=3)
    other = bundles.calibrated(Path("other"), seed=3)
    compared = json.loads(
        mien("bundle", "compare", other.folder, "mien-s", people, "--json").stdout
    )
    against = json.loads(
        mien("evaluate", other.folder, people, "--against", "mien-s", "--json").stdout
    )
    assert compared == against
    assert compared["against"]["bundle"]["fingerprint"] == small.manifest.fingerprint


def test_a_data_directory_is_enrolled_and_searched_with_it(small: Bundle) -> None:
    people = folder_of_people(Path("people"), people=3, shots=2)
    enrolled = mien("enroll", people, "--gallery", "g", "--data", "data", "--create")
    assert enrolled.exit_code == 0, enrolled.output
    assert "enrolled 6 pictures of 3 subjects" in enrolled.stdout
    found = mien("gallery", "duplicates", "g", "--data", "data", "--fmr", "0.1", "--json")
    assert found.exit_code == 0, found.output
    unknown = mien("enroll", people, "--gallery", "g", "--data", "data", "--bundle", "nowhere")
    assert "nowhere is no bundle" in unknown.stderr


@pytest.fixture
def served(small: Bundle) -> Iterator[Server]:
    with Server(Settings(data=Path("data"), port=0)) as server:
        yield server


def test_a_server_takes_it_when_nobody_names_another(served: Server, small: Bundle) -> None:
    with Client(f"127.0.0.1:{served.port}") as client:
        assert client.model().fingerprint == small.manifest.fingerprint
        assert client.verify(encoded(0, 0), encoded(0, 0)).score.similarity > 0.99


def test_its_licence_is_told_once_and_that_of_a_named_bundle_is_not(
    small: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    from mien.cli.serve import _tell_licence

    _tell_licence(load(built_in.find()))
    (line,) = capsys.readouterr().err.splitlines()
    assert "came with mien; the licence of its weights: Apache-2.0" in line
    assert str(small.folder / "MODEL_CARD.md") in line
    _tell_licence(bundles.uncalibrated(Path("own")))
    assert capsys.readouterr().err == ""


def test_help_says_what_is_taken() -> None:
    for command in (("serve",), ("evaluate",), ("bundle", "inspect"), ("bundle", "check"),
                    ("enroll",), ("gallery", "duplicates")):  # fmt: skip
        assert "mien-s" in mien(*command, "--help").stdout, command


def test_find_names_the_default_in_one_place(
    small: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(built_in, "DEFAULT", "mien-t")
    with pytest.raises(BundleInvalid, match="mien-t did not come"):
        built_in.find()


def test_the_wheel_holds_the_bundles_whole(tmp_path: Path) -> None:
    """Built by the backend of pyproject.toml, from a copy of what it packs."""
    wheels = pytest.importorskip(
        "hatchling.builders.wheel", reason="hatchling is not installed (extra dev)"
    )
    source = tmp_path / "source"
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        source.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    ignored = shutil.ignore_patterns("__pycache__", built_in.DEFAULT)
    for package in ("service/mien", "training/mien_training"):
        shutil.copytree(ROOT / package, source / package, ignore=ignored)
    bundle = bundles.calibrated(source / "service/mien/bundles" / built_in.DEFAULT)
    (wheel,) = wheels.WheelBuilder(str(source)).build(
        directory=str(tmp_path / "dist"), versions=["standard"]
    )
    with zipfile.ZipFile(wheel) as packed:
        for file in bundle.folder.iterdir():
            inside = f"mien/bundles/{built_in.DEFAULT}/{file.name}"
            assert packed.read(inside) == file.read_bytes(), inside
        assert "mien_training/recipes/center.toml" in packed.namelist()


@pytest.mark.skipif(
    not (SHIPPED / MANIFEST).is_file(), reason="no bundle lies in service/mien/bundles yet"
)
class TestTheOneThatIsShipped:
    def test_it_holds_what_it_claims_on_this_machine(self) -> None:
        claims = [proof.claim for proof in prove(SHIPPED, threads=1)]
        assert claims[-1] == "alone or in a batch"
        assert load(SHIPPED).manifest.name == built_in.DEFAULT

    def test_it_has_at_most_six_megabytes_and_nothing_beside_the_bundle(self) -> None:
        files = list(SHIPPED.iterdir())
        assert sum(file.stat().st_size for file in files) <= LARGEST
        assert {file.name for file in files} == {MANIFEST, *load(SHIPPED).manifest.files}

    def test_it_shows_nobody(self) -> None:
        bundle = load(SHIPPED)
        spec = bundle.manifest.input
        made = golden_crops(spec.crop_height, spec.crop_width)
        assert (bundle.golden.crops == made).all()

    def test_it_may_be_used_for_research_only_and_says_so(self) -> None:
        assert "research" in load(SHIPPED).manifest.license
        assert "not for commercial use" in (SHIPPED / "MODEL_CARD.md").read_text()

    def test_it_takes_photographs_and_is_calibrated_down_to_one_in_a_thousand(self) -> None:
        bundle = load(SHIPPED)
        assert bundle.manifest.input.alignment == "arcface-5"
        assert bundle.calibration
        assert bundle.calibration.smallest_supported_fmr <= 1e-3

    def test_it_names_no_folder_of_its_maker(self) -> None:
        for file in SHIPPED.iterdir():
            content = file.read_bytes()
            assert b"/root/" not in content, file.name
            assert b"/work/" not in content, file.name
