"""docs/api.md names every call and every refusal, and its examples are right."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message_factory import GetMessageClass
from google.rpc import code_pb2

from mien import errors
from mien.model.bundle import Bundle
from mien.server.access.keys import Role, create
from mien.server.calls.statuses import code_of
from mien.v1 import reason_pb2
from tests.faces import encoded, folder_of_people
from tests.processes import serving
from tests.test_proto import METHODS

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "api.md").read_text()
REASONS = {value.name.removeprefix("REASON_") for value in reason_pb2.Reason.DESCRIPTOR.values} - {
    "UNSPECIFIED"
}
GRPCURL = re.findall(r"^mien-call (?:-d '(.*)' )?\S+ mien\.v1\.(\w+)/(\w+)$", TEXT, re.M)


def test_it_names_every_call_and_no_other() -> None:
    named = re.findall(r"^\| `(\w+\.\w+)` \|", TEXT, re.M)
    assert sorted(named) == sorted(
        f"{method.containing_service.name}.{method.name}" for method in METHODS
    )


def test_it_names_every_reason_with_its_status() -> None:
    rows = dict(re.findall(r"^\| ([A-Z_]+) \| ([A-Z_]+) \|$", TEXT, re.M))
    assert set(rows) == REASONS
    for reason, status in rows.items():
        assert code_pb2.Code.Name(code_of(errors.of_reason(reason)("x"))) == status, reason


def test_every_reason_that_a_call_may_refuse_with_is_one() -> None:
    calls = TEXT.partition("## Calls")[2].partition("## Reasons")[0]
    named = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", calls))
    assert named <= REASONS | {"SKIP_IDENTICAL"}


@pytest.mark.parametrize(("body", "service", "name"), GRPCURL)
def test_what_grpcurl_sends_is_a_request(body: str, service: str, name: str) -> None:
    (method,) = (
        each for each in METHODS if (each.containing_service.name, each.name) == (service, name)
    )
    message: Any = GetMessageClass(method.input_type)()
    told = json.loads(re.sub(r"'\$\(.*?\)'", "aGk=", body or "{}"))
    mask = told.pop("updateMask", None)
    json_format.ParseDict(told, message)
    if mask:  # grpcurl does not write it as the JSON of protobuf does (its issue 393)
        message.update_mask.paths.extend(mask["paths"])
        assert all(hasattr(message.subject, path) for path in message.update_mask.paths)


def test_grpcurl_is_shown_for_every_service_of_callers() -> None:
    services = {service for _, service, _ in GRPCURL}
    assert services == {"EmbeddingService", "MatchService", "GalleryService", "ModelService"}


@pytest.mark.skipif(not shutil.which("grpcurl"), reason="there is no grpcurl on the PATH")
def test_what_is_written_for_grpcurl_works(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "ann.png").write_bytes(encoded(1, 0))
    (tmp_path / "door.png").write_bytes(encoded(1, 1))
    (tmp_path / "proto").symlink_to(ROOT / "proto")
    keys = tmp_path / "keys.json"
    _, key = create(keys, frozenset(Role))
    guarded = ["--reflection", "--keys", str(keys)]
    blocks = re.findall(r"^```sh\n(.*?)^```$", TEXT.partition("## Calls")[0], re.M | re.S)
    for block, flags in zip(blocks, ([], ["--reflection"]), strict=True):
        with serving(bundle.folder, tmp_path / "data", *flags) as server:
            _run(block, server.address, tmp_path, key)
    with serving(bundle.folder, tmp_path / "data", *guarded) as server:
        asked = _run(blocks[1].splitlines()[-1], server.address, tmp_path, key)
        (gallery,) = json.loads(asked)["galleries"]
        assert gallery["gallery_id"] == "staff"


def _run(block: str, address: str, folder: Path, key: str) -> str:
    """What a shell prints that is told the lines of a block, one after the other."""
    script = "shopt -s expand_aliases\nset -e -o pipefail\n" + block.replace(
        "127.0.0.1:50051", address
    )
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=os.environ | {"MIEN_API_KEY": key},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def example(name: str, *arguments: str | Path) -> str:
    """What an example prints."""
    return subprocess.run(
        [sys.executable, "-m", f"examples.api.{name}", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


def test_the_examples_run(bundle: Bundle, tmp_path: Path) -> None:
    people = folder_of_people(tmp_path / "people", people=5, shots=3)
    (people / "person-0" / "9.png").write_bytes(b"no picture")
    probe = tmp_path / "probe.png"
    probe.write_bytes(encoded(3, 9))
    pairs = tmp_path / "pairs"
    same = f"{probe} {people / 'person-3' / '0.png'}"
    bad = f"{probe} {people / 'person-0' / '9.png'}"
    pairs.write_text(f"{same}\n{bad}\n")
    with serving(bundle.folder, tmp_path / "data") as server:
        printed = example("sync_client", server.address, people, probe)
        assert "4: refused:" in printed
        assert "person-3: similarity" in printed
        compared = example("async_client", server.address, pairs)
        assert f"{same}: match" in compared
        assert f"{bad}: IMAGE_UNDECODABLE" in compared
