"""No Docker engine is needed: the Dockerfile's own commands run in a fresh folder."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from mien.client import Client
from mien.model.bundle import Bundle
from tests.processes import ServerProcess

ROOT = Path(__file__).parent.parent
LINES = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()


def instructions(name: str) -> list[str]:
    return [line.removeprefix(name).strip() for line in LINES if line.startswith(name + " ")]


def test_the_image_runs_as_another_user_and_keeps_bundle_and_data_outside() -> None:
    assert instructions("USER") == ["mien"]
    assert json.loads(instructions("VOLUME")[0]) == ["/bundle", "/data"]
    assert len(instructions("FROM")) == 2


def test_its_commands_install_a_service_without_torch_that_serves_and_is_healthy(
    tmp_path: Path, bundle: Bundle
) -> None:
    source, installed = tmp_path / "src", tmp_path / "opt"
    for line in instructions("COPY"):
        *names, target = line.split()
        for name in names if not line.startswith("--from") else ():
            copy(ROOT / name, source / target / (name if target == "./" else ""))
    build, runtime = (
        [command for command in instructions("RUN") if ("/opt/mien" in command) is wanted]
        for wanted in (True, False)
    )
    assert len(runtime) == 1
    for command in build:
        words = shlex.split(command.replace("/opt/mien", str(installed)))
        words[0] = sys.executable if words[0] == "python" else words[0]
        subprocess.run(words, cwd=source, check=True, timeout=280)
    packages = {path.name for path in installed.glob("lib/python*/site-packages/*")}
    assert "onnxruntime" in packages
    assert packages.isdisjoint({"torch", "torchvision", "albumentations"})

    changes = {
        "/opt/mien": str(installed),
        "/bundle": str(bundle.folder),
        "/data": str(tmp_path / "data"),
        "0.0.0.0:50051": "127.0.0.1:0",
    }
    entrypoint, command = (json.loads(instructions(name)[0]) for name in ("ENTRYPOINT", "CMD"))
    health = json.loads(re.search(r"CMD (\[.*\])", instructions("HEALTHCHECK")[0])[1])  # type: ignore[index]
    server = ServerProcess(*replace([*entrypoint, *command], changes), cwd=tmp_path)
    try:
        checked = subprocess.run(
            replace(health, changes), env=os.environ | {"MIEN_SERVER": server.address}, check=False
        )
        assert checked.returncode == 0
        with Client(server.address) as client:
            assert client.model().fingerprint == bundle.manifest.fingerprint
    finally:
        assert server.terminate() == (0, "")
    assert subprocess.run(
        replace(health, changes), env=os.environ | {"MIEN_SERVER": server.address}, check=False
    ).returncode


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copyfile(source, target)


def replace(words: list[str], changes: dict[str, str]) -> list[str]:
    replaced = []
    for word in words:
        for old, new in changes.items():
            if word == old or word.startswith(old + "/"):
                word = new + word[len(old) :]  # noqa: PLW2901
                break
        replaced.append(word)
    return replaced
