"""The README's tour is run as it stands, and what it says of commands and files is true."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

from click import Group

from mien.cli.main import main as mien
from mien_training.cli import main as mien_train
from tests.faces import encoded, folder_of_people

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_tour_runs_as_it_is_written(tmp_path: Path) -> None:
    tour = README.partition("## Five-minute tour")[2].partition("\n## ")[0]
    blocks = re.findall(r"```(bash|python)\n(.*?)```", tour, re.S)
    assert [language for language, _ in blocks] == ["bash"] * 5 + ["python"]
    address = free_address()
    script = "set -euo pipefail\ntrap 'kill $(jobs -p)' EXIT\n" + "\n".join(
        block if language == "bash" else f"python - <<'PY'\n{block}PY\n"
        for language, block in blocks
    )
    write_pictures(tmp_path)
    finished = subprocess.run(
        ["bash", "-c", script.replace("127.0.0.1:50051", address)],
        cwd=tmp_path,
        env=os.environ
        | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "MIEN_ADDRESS": address,
            "MIEN_SERVER": address,
        },
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "maximum difference" in finished.stdout
    assert "enrolled 12 pictures of 4 subjects" in finished.stdout
    assert re.search(r"^(True|False) \S+ \S+ \S+$", finished.stdout, re.M)


def write_pictures(folder: Path) -> None:
    """What the tour asks its reader to have."""
    folder_of_people(folder / "people", people=50, shots=3)
    folder_of_people(folder / "staff", people=4, shots=3, first=20)
    for number, name in enumerate(("anna", "ben", "carla", "dmitri"), start=20):
        (folder / "staff" / f"person-{number}").rename(folder / "staff" / name)
    (folder / "visitor.png").write_bytes(encoded(20, 7))


def free_address() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def test_every_command_is_documented() -> None:
    for name, group in (("mien", mien), ("mien-train", mien_train)):
        for command in names(group):
            assert f"`{name} {command}" in README, f"{name} {command}"


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def names(group: Group, prefix: str = "") -> list[str]:
    found = []
    for name, command in group.commands.items():
        if isinstance(command, Group):
            found += names(command, f"{prefix}{name} ")
        else:
            found.append(prefix + name)
    return found
