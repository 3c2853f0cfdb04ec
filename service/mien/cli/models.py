"""`mien models`: the face detector's file."""

from pathlib import Path

import click

from mien.cli.group import Group


@click.group(cls=Group)
def models() -> None:
    """Fetch the face detector, and see which one is used."""


@models.command()
@click.argument("name", type=click.Choice(["yunet"]))
@click.option("--url", help="A mirror to fetch it from; its digest is checked all the same.")
@click.option("--force", is_flag=True, help="Fetch it again, whatever is there.")
def fetch(name: str, url: str | None, force: bool) -> None:
    """Download a model from its public source into MIEN_MODELS, and check its SHA-256.

    It is OpenCV's YuNet of March 2023. Where the folder has the larger face_detection_yunet.onnx
    of the network's authors, that one is used.
    """
    from mien.vision.detector_file import YUNET, find
    from mien.vision.detector_file import fetch as download

    path = download({"yunet": YUNET}[name], url, force=force)
    click.echo(f"{path}  SHA-256 {YUNET.sha256} ({YUNET.source})")
    if (used := find()) != path:
        click.echo(
            f"note: {used} is there too, and is used; take it away to use this one", err=True
        )


@models.command()
@click.option("--detector-model", type=click.Path(path_type=Path), help="A file to prove instead.")
def check(detector_model: Path | None) -> None:
    """Tell which face detector is used, after running it once."""
    from mien.vision.detector_file import KNOWN, find
    from mien.vision.yunet import YuNet

    path = find(detector_model)
    detector = YuNet(path)
    known = next((each.source for each in KNOWN if each.sha256 == detector.digest), "not known")
    click.echo(f"{path}  SHA-256 {detector.digest} ({known})")
