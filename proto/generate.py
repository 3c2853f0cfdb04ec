"""Generate service/mien/v1 from proto/mien/v1, or with --check fail if it is out of date."""

import argparse
import filecmp
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PROTO = Path(__file__).resolve().parent
GENERATED = PROTO.parent / "service" / "mien" / "v1"
PLUGINS = ("python", "grpc_python", "mypy", "mypy_grpc")


def generate(out: Path) -> None:
    """Write the stubs of every proto below the folder `out`."""
    protos = sorted(str(path.relative_to(PROTO)) for path in PROTO.glob("mien/v1/*.proto"))
    outputs = [f"--{plugin}_out={out}" for plugin in PLUGINS]
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    }
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", str(PROTO), *outputs, *protos]
    subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)


def stale() -> list[str]:
    """Names of generated files that are missing, changed or of no proto any more."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh = Path(folder) / "mien" / "v1"
        names = {path.name for path in fresh.iterdir()} | {
            path.name for path in GENERATED.glob("*_pb2*")
        }
        _, different, missing = filecmp.cmpfiles(fresh, GENERATED, sorted(names), shallow=False)
        return sorted(different + missing)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    if not parser.parse_args().check:
        generate(GENERATED.parent.parent)
    elif names := stale():
        sys.exit(f"out of date, run `make proto`: {', '.join(names)}")


if __name__ == "__main__":
    main()
