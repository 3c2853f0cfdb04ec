import sys
from pathlib import Path

# The report is a program of examples/, as the demo is, and not installed.
sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
