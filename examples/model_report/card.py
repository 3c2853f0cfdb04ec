"""What a model card says beyond what every export writes: the data, the failures, a replacement.

The words are in files beside this one; the figures are measured.
"""

from pathlib import Path

from model_report.words import Figures, tables

HOME = Path(__file__).parent
USE = "## Use"
"""Where a card goes on that this has written; what was there before stays."""


def card(written: str, found: Figures) -> str:
    """The card that an export wrote, and these sections after it; of its own card, the same."""
    kept = written.partition(f"\n{USE}\n")[0].rstrip()
    sections = [
        (USE, _words("use")),
        ("## Results on other pictures", tables(found)),
        ("## Known failures", _words("failures")),
        ("## How to train a replacement", _words("replacement")),
    ]
    return "\n\n".join([kept, *(f"{title}\n\n{text}" for title, text in sections)]) + "\n"


def _words(name: str) -> str:
    return (HOME / f"{name}.md").read_text().strip()
