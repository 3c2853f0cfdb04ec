import sys
from pathlib import Path

# The demo is a program of examples/ and not installed.
sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
