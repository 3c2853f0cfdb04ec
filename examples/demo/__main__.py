"""Learn 30 people, seal, serve, enrol 10 others, recognise them: `make demo`."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

from demo import faces, measure, report
from mien import dataset
from mien.client import Client
from mien.model import built_in
from mien_training.run import load_run

SEED = 2026
GALLERY = "orl"
TARGET_FMR = 0.1
"""What Verify is asked for: a round rate that the people held out support."""

OUT = Path("runs/demo")


def main() -> None:
    out = OUT
    shutil.rmtree(out, ignore_errors=True)
    clock = Clock()
    folders = faces.stage(out / "people", SEED)

    with clock("fit"):
        fit(folders.train, "orl-center", out / "center")
    with clock("fit triplet"):
        fit(folders.train, "orl-triplet", out / "triplet")
    with clock("export"):
        difference = export(out / "center", out / "bundle")
        export(out / "triplet", out / "bundle-triplet")

    train = measure.pictures(dataset.scan(folders.train))
    references = measure.pictures(dataset.scan(folders.enroll))
    probes = measure.pictures(dataset.scan(folders.probe))
    with serving(out / "bundle", out / "data") as address, Client(address) as client:
        with clock("enroll"):
            run("mien", "gallery", "create", GALLERY, "--server", address)
            run("mien", "enroll", folders.enroll, "--gallery", GALLERY, "--server", address)
        with clock("query"):
            say(f"verifying {len(probes) * len(references):,} pairs at an FMR of {TARGET_FMR:.0%}")
            verification = measure.verify(client, probes, references, TARGET_FMR)
            fpir = strictest_fpir(client, out / "bundle")
            say(
                f"identifying {len(probes)} pictures of them and {len(train)} of strangers at an "
                f"FPIR of {fpir:.0%}, the strictest that so few people support"
            )
            identification = measure.identify(client, GALLERY, probes, train, fpir)

    pairs = verification.pairs
    tuned = held_out = None
    if built_in.DEFAULT in built_in.names():
        with clock("fine-tune"):
            tuned, held_out = fine_tuned(pairs, train, folders.train, out)
    else:
        say(f"no bundle {built_in.DEFAULT} came with this mien: nothing to fine-tune")
    found = report.Findings(
        train_people=len({picture.person for picture in train}),
        held_out_people=verification.applied.identities,
        test_people=len({picture.person for picture in probes}),
        verification=verification,
        identification=identification,
        tuned=tuned,
        tuned_held_out=held_out,
        triplet=measure.recompare(pairs, measure.by_bundle(out / "bundle-triplet")),
        pixels=measure.recompare(pairs, measure.by_pixels),
        eigenfaces=measure.recompare(pairs, measure.by_eigenfaces(train)),
        rpcs=len(pairs) + identification.searches + len(references),
        max_difference=difference,
        seconds=clock.seconds,
    )
    report.write(found, out)
    say(f"\n{report.table(found)}\n\n  {out / 'summary.json'}\n  {out / 'report.html'}")
    if not found.beats_baselines:
        raise SystemExit("the network does not beat both older methods; its training is at fault")


def fine_tuned(
    pairs: list[measure.Pair], known: list[measure.Picture], train: Path, out: Path
) -> tuple[measure.Change, measure.Change]:
    """The built-in bundle on the same pairs, as it comes and after it learned from 20 of the 30;
    the others calibrate, as they do for the networks that were learned here. And on all pairs of
    pictures of those others, of whom it did not learn either."""
    people = faces.align(dataset.scan(train), out / "people" / "aligned")
    run("mien-train", "fit", people, "--from", built_in.DEFAULT, "--out", out / "tuned",
        "--set", "validation_people=0.3333")  # fmt: skip
    export(out / "tuned", out / "bundle-tuned")
    before, after = (
        measure.by_aligning_bundle(folder)
        for folder in (built_in.FOLDER / built_in.DEFAULT, out / "bundle-tuned")
    )
    held_out = set(load_run(out / "tuned").validation_people)
    others = combinations([picture for picture in known if picture.person in held_out], 2)
    tested = [(pair.probe, pair.reference) for pair in pairs]
    return measure.change(tested, before, after), measure.change(list(others), before, after)


def strictest_fpir(client: Client, bundle: Path) -> float:
    gallery = client.get_gallery(GALLERY)
    return measure.strictest_fpir(bundle, gallery.subjects, gallery.samples // gallery.subjects)


class Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - started


def fit(people: Path, recipe: str, out: Path) -> None:
    run("mien-train", "fit", people, "--recipe", recipe, "--out", out)


def export(trained: Path, bundle: Path) -> float:
    """Seal a bundle; returns the largest difference from the network that was printed."""
    printed = run("mien-train", "export", trained, "--out", bundle)
    found = re.search(r"maximum difference (\S+)", printed)
    assert found, printed
    return float(found[1])


@contextmanager
def serving(bundle: Path, data: Path) -> Iterator[str]:
    """A server process on a free loopback port; gives its address."""
    command = [executable("mien"), "serve", str(bundle), "--data", str(data)]
    say(f"$ mien serve {bundle} --data {data} --address 127.0.0.1:0")
    process = subprocess.Popen(
        [*command, "--address", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    try:
        first = process.stdout.readline()
        found = re.search(r"127\.0\.0\.1:\d+", first)
        if not found:
            raise SystemExit("the server did not start; its message is above")
        say(first.strip())
        yield found[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def run(program: str, *arguments: str | Path) -> str:
    """Run one of our commands in sight of the user; returns what it printed on stdout."""
    command = [executable(program), *map(str, arguments)]
    say("$ " + " ".join([program, *command[1:]]))
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if finished.returncode:
        raise SystemExit(finished.returncode)
    say(finished.stdout.strip())
    return finished.stdout


def executable(program: str) -> str:
    """The command of the environment that runs the demo."""
    return str(Path(sys.executable).with_name(program))


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    main()
