"""The bundles that come with the package, and the one that is taken when none is named.

They are folders of `mien/bundles`, each a bundle as any other. Where a command takes a bundle, a
name from here will do; a folder of that name where the command runs goes first.
"""

from pathlib import Path

from mien.errors import BundleInvalid

MANIFEST = "manifest.json"
"""As in `mien.model.manifest`, which is not imported, so that `--help` answers at once."""
FOLDER = Path(__file__).parent.parent / "bundles"
DEFAULT = "mien-s"
"""What every command takes when no bundle is named: this is the one place that says so."""


def names() -> list[str]:
    """Of all bundles that came with this installation, in order."""
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{MANIFEST}"))


def find(named: Path | None = None) -> Path:
    """The folder of a bundle: the one that is named, or a built-in one of that name.

    Raises BundleInvalid: no bundle was named, and none came with this installation.
    """
    wanted = named or Path(DEFAULT)
    if wanted.exists():
        return wanted
    if str(wanted) in names():
        return FOLDER / wanted
    if str(wanted) == DEFAULT:
        raise BundleInvalid(
            f"no built-in bundle: {DEFAULT} did not come with this installation of mien, and there "
            "is no folder of that name; name the folder of a bundle, such as mien-train export "
            "writes"
        )
    return wanted


def is_built_in(folder: Path) -> bool:
    """Whether it came with the package, and is no bundle of the user's own."""
    return folder.parent == FOLDER
