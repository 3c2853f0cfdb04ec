"""A run that starts from weights which were learned before."""

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from mien.errors import BundleInvalid, DatasetInvalid, RecipeInvalid, RunInvalid
from mien.model import built_in
from mien.model.bundle import Bundle, load
from mien.model.embedder import Embedder
from mien_training import checkpoint
from mien_training.cli import main
from mien_training.data import split
from mien_training.embed import embed
from mien_training.export import Form, Label, export
from mien_training.fit import fit
from mien_training.graph import weights_of
from mien_training.learner import Learner
from mien_training.loading import load_recipe
from mien_training.networks import build
from mien_training.process_group import ProcessGroup
from mien_training.run import load_run
from mien_training.source import Source, load_source
from tests import bundles
from tests.faces import folder_of_people
from tests.training.recipes import TOML

SHAPE = "channels = [8, 12]\nblocks = [1, 1]"
OVERRIDES = ("validation_people=0.4", "epochs=1")
CROPS = np.random.default_rng(0).integers(256, size=(9, 16, 16, 3), dtype=np.uint8)
FROZEN = (
    'optimiser.kind="sgd"',
    "optimiser.learning_rate=1e-30",
    "optimiser.weight_decay=0.0",
    "ema_decay=0.0",
)
"""A run that learns nothing worth speaking of."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("source")


@pytest.fixture(scope="module")
def people(home: Path) -> Path:
    return folder_of_people(home / "people", people=5, shots=3)


@pytest.fixture(scope="module")
def own(home: Path) -> Path:
    """Other people than those that the source learned from."""
    return folder_of_people(home / "own", people=4, shots=3, first=50)


@pytest.fixture(scope="module")
def run(home: Path, people: Path) -> Path:
    """Of a network with PReLU, batch normalisation and a module in two places."""
    path = home / "residual.toml"
    path.write_text(TOML.replace('kind = "cnn"\nchannels = [4, 4]', 'kind = "residual"\n' + SHAPE))
    recipe = load_recipe(str(path), OVERRIDES)
    return fit(people, recipe, home / "run")


@pytest.fixture(scope="module")
def bundle(home: Path, run: Path) -> Bundle:
    label = Label("small", "research only")
    return export(run, home / "bundle", label, form=Form(flip=True)).bundle


@pytest.fixture(scope="module")
def halved(home: Path, run: Path) -> Bundle:
    return export(run, home / "halved", Label("halved", "none"), form=Form(half=True)).bundle


def started(source: Source, folder: Path) -> Learner:
    learner = Learner.fresh(
        load_recipe(_written(folder), (), source.recipe),
        torch.device("cpu"),
        ProcessGroup(),
        people=4,
        batches=2,
    )
    learner.start_from(source.weights)
    return learner


def _written(folder: Path) -> str:
    """A recipe that leaves network, crop and dimension open."""
    path = folder / "open.toml"
    path.write_text(
        "epochs = 1\nvalidation_people = 0.5\n[batches]\npeople = 2\npictures = 2\n"
        "[losses.softmax]\n"
    )
    return str(path)


@pytest.mark.parametrize("kind", ["run", "bundle", "halved"])
def test_it_starts_with_the_same_vectors_as_the_source(
    request: pytest.FixtureRequest, kind: str, tmp_path: Path
) -> None:
    named = request.getfixturevalue(kind)
    folder = named if kind == "run" else named.folder
    source = load_source(folder)
    learner = started(source, tmp_path)
    network = learner.network.eval()
    average = learner.average.network
    network.flip = average.flip = source.recipe.flip_embedding
    if kind == "run":
        expected = embed(load_run(folder).network, CROPS)
    else:
        expected = Embedder.of(named).embed(CROPS)
    for each in (network, average):
        np.testing.assert_allclose(embed(each, CROPS), expected, atol=1e-5)
    fresh = build(learner.recipe).eval()
    assert np.abs(embed(fresh, CROPS) - expected).max() > 0.05


def test_every_weight_of_a_bundle_is_that_of_the_run_to_the_last_bit(
    run: Path, bundle: Bundle, halved: Bundle
) -> None:
    network = load_run(run).network
    exact = weights_of(bundle.network.read_bytes(), network)
    rounded = weights_of(halved.network.read_bytes(), network)
    for name, weight in network.state_dict().items():
        assert torch.equal(exact[name], weight), name
        assert torch.equal(rounded[name], weight.half().float() if weight.ndim > 1 else weight)


def test_what_is_learned_starts_from_them(bundle: Bundle, own: Path, tmp_path: Path) -> None:
    source = load_source(bundle.folder)
    recipe = load_recipe(_written(tmp_path), FROZEN, source.recipe)
    learned = load_run(fit(own, recipe, tmp_path / "run", source=source))
    statistics = {name: value for name, value in source.weights.items() if "running" in name}
    kept = learned.network.state_dict()
    for name, weight in source.weights.items():
        if name not in statistics and "num_batches" not in name:
            torch.testing.assert_close(kept[name], weight, atol=1e-6, rtol=0)
    assert learned.source.startswith("small ")
    assert "(research only)" in learned.source


def test_the_bundle_of_a_fine_tuned_run_tells_where_its_weights_are_from(
    bundle: Bundle, own: Path, tmp_path: Path
) -> None:
    source = load_source(bundle.folder)
    run = fit(
        own, load_recipe(_written(tmp_path), (), source.recipe), tmp_path / "r", source=source
    )
    tuned = export(run, tmp_path / "tuned", Label("tuned", "mine")).bundle
    assert tuned.manifest.provenance["started_from"] == source.name
    card = (tuned.folder / "MODEL_CARD.md").read_text()
    assert f"It started from the weights of {source.name}." in card
    assert bundle.manifest.fingerprint[:12] in source.name
    assert load_source(tuned.folder).recipe.network == source.recipe.network
    assert "started" not in (bundle.folder / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("crop.height=32", "crop.height is 32, and 16 in what it starts from"),
        ('crop.alignment="arcface-5"', 'crop.alignment is "arcface-5", and "none"'),
        ("dimension=9", "dimension is 9, and 8"),
        ('network.kind="cnn"', 'network.kind is "cnn", and "residual"'),
        ("network.channels=[8, 9]", r"network.channels is \[8, 9\], and \[8, 12\]"),
        ('network.activation="relu"', 'network.activation is "relu", and null'),
    ],
)
def test_a_recipe_may_not_contradict_the_source(
    bundle: Bundle, tmp_path: Path, override: str, told: str
) -> None:
    with pytest.raises(RecipeInvalid, match=told):
        load_recipe(_written(tmp_path), [override], load_source(bundle.folder).recipe)


def test_a_recipe_may_repeat_the_source_and_change_what_shapes_no_weight(
    bundle: Bundle, tmp_path: Path
) -> None:
    theirs = load_source(bundle.folder).recipe
    same = ["crop.height=16", "dimension=8", 'network.kind="residual"', "network.blocks=[1, 1]"]
    recipe = load_recipe(_written(tmp_path), [*same, "network.dropout=0.25"], theirs)
    assert recipe.network == theirs.network.model_copy(update={"dropout": 0.25})
    assert (recipe.crop, recipe.dimension) == (theirs.crop, theirs.dimension)
    assert recipe.epochs == 1


def test_the_recipe_for_it_is_shipped_and_leaves_open_what_follows(bundle: Bundle) -> None:
    theirs = load_source(bundle.folder).recipe
    recipe = load_recipe("fine-tune", (), theirs)
    assert (recipe.network, recipe.crop, recipe.dimension) == (
        theirs.network, theirs.crop, theirs.dimension,
    )  # fmt: skip


def test_people_whom_the_source_learned_from_are_not_held_out(
    people: Path, bundle: Bundle, run: Path, tmp_path: Path
) -> None:
    source = load_source(bundle.folder)
    names = tuple(sorted(path.name for path in people.iterdir()))
    other = next(s for s in range(9) if split(names, 0.4, s)[1] != split(names, 0.4, 1)[1])
    options = [f"seed={other}", "validation_people=0.4"]
    recipe = load_recipe(_written(tmp_path), options, source.recipe)
    with pytest.raises(DatasetInvalid, match=r"they would flatter.*--set seed=1 --set validation"):
        fit(people, recipe, tmp_path / "run", source=source)
    assert not (tmp_path / "run").exists()
    same = load_recipe(_written(tmp_path), ["seed=1", "validation_people=0.4"], source.recipe)
    fit(people, same, tmp_path / "run", source=load_source(run))


def test_a_run_is_gone_on_with_only_from_the_same_source(
    own: Path, bundle: Bundle, run: Path, tmp_path: Path
) -> None:
    source = load_source(bundle.folder)
    recipe = load_recipe(_written(tmp_path), (), source.recipe)
    out = fit(own, recipe, tmp_path / "run", source=source)
    fit(own, recipe, out, resume=True, source=source)
    for other, told in ((None, "not from fresh weights"), (load_source(run), "not from a run of")):
        with pytest.raises(RunInvalid, match=f"begun from small .*{told}"):
            fit(own, recipe, out, resume=True, source=other)


def test_a_checkpoint_from_before_there_were_sources_is_read(run: Path, tmp_path: Path) -> None:
    content = torch.load(run / "checkpoint.pt", weights_only=True)
    assert content.pop("source") == ""
    torch.save(content, tmp_path / "checkpoint.pt")
    assert checkpoint.load(tmp_path).source == ""
    del content["steps"]
    torch.save(content, tmp_path / "checkpoint.pt")
    with pytest.raises(RunInvalid, match="not written by this version"):
        checkpoint.load(tmp_path)


def test_what_is_no_source_is_refused(home: Path, run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunInvalid, match="neither a run nor a bundle"):
        load_source(tmp_path)
    with pytest.raises(RunInvalid, match="neither a run nor a bundle"):
        load_source(tmp_path / "gone")
    foreign = bundles.uncalibrated(tmp_path / "foreign")
    with pytest.raises(BundleInvalid, match="does not say by what recipe"):
        load_source(foreign.folder)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "checkpoint.pt").write_bytes(b"nothing")
    with pytest.raises(RunInvalid, match="damaged"):
        load_source(tmp_path / "damaged")


def test_an_int8_bundle_is_refused(run: Path, tmp_path: Path) -> None:
    quantised = export(run, tmp_path / "int8", Label("int8", "x"), form=Form(int8=True)).bundle
    with pytest.raises(BundleInvalid, match=r"cannot be started from: .*it was quantised"):
        load_source(quantised.folder)


def mien_train(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)), prog_name="mien-train")


def test_the_command_starts_from_the_built_in_bundle_by_its_name(
    bundle: Bundle, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(built_in, "FOLDER", bundle.folder.parent)
    monkeypatch.chdir(tmp_path)
    options = ("--set", "epochs=1", "--set", "batches.people=2", "--set", "validation_people=0.5")
    done = mien_train("fit", own, "--from", "bundle", "--out", "run", *options)
    assert done.exit_code == 0, done.output
    assert load_run(Path("run")).source == load_source(bundle.folder).name


def test_a_bundle_of_what_started_from_another_does_not_forget_that_ones_licence(
    bundle: Bundle, own: Path, tmp_path: Path
) -> None:
    options = ("--set", "epochs=1", "--set", "batches.people=2", "--set", "validation_people=0.5")
    fit = ("fit", own, "--from", bundle.folder, "--out", tmp_path / "run", *options)
    done = mien_train(*fit, "--bundle", tmp_path / "sealed")
    assert done.exit_code == 0, done.output
    theirs = load_source(bundle.folder).name
    assert bundle.manifest.license in theirs
    sealed = load(tmp_path / "sealed")
    assert sealed.manifest.license == f"unstated; started from {theirs}"
    assert sealed.manifest.license in (sealed.folder / "MODEL_CARD.md").read_text()
    stated = mien_train(
        "export", tmp_path / "run", "--out", tmp_path / "stated", "--license", "research only"
    )
    assert stated.exit_code == 0, stated.output
    assert load(tmp_path / "stated").manifest.license == "research only"


def test_the_command_needs_a_recipe_or_a_source(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(built_in, "FOLDER", tmp_path / "empty")
    monkeypatch.chdir(tmp_path)
    neither = mien_train("fit", own, "--out", "run")
    assert neither.exit_code == 2
    assert "name a --recipe, or what to start from" in neither.stderr
    missing = mien_train("fit", own, "--out", "run", "--from", "mien-s")
    assert missing.exit_code == 2
    assert "no built-in bundle: mien-s" in missing.stderr
    (tmp_path / "small.toml").write_text(TOML)
    assert not (tmp_path / "run").exists()
