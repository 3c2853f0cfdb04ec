"""Self-contained HTML pages: no script, no other file, nothing from the network.

`base.html` beside this file is the look that every report shares; a report's own template extends
it. Charts are SVG text from `mien.report.charts`, marked safe here and nowhere else.
"""

import base64
from pathlib import Path

import cv2
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined
from markupsafe import Markup

from mien.vision.images import RGB


def render(template: Path, **values: object) -> str:
    """Fill a template. Text is escaped, and a missing value is an error."""
    loaders = [FileSystemLoader(template.parent), PackageLoader("mien.report", ".")]
    environment = Environment(
        loader=ChoiceLoader(loaders), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["svg"] = Markup
    environment.filters["percent"] = percent
    return environment.get_template(template.name).render(**values)


def percent(share: float) -> str:
    """A rate in [0, 1] for people: one decimal."""
    return f"{share:.1%}".replace("%", " %")


def data_uri(picture: RGB) -> str:
    """A uint8 [H, W, 3] RGB picture as a PNG that stands in the page itself."""
    done, content = cv2.imencode(".png", picture[:, :, ::-1])
    if not done:
        raise ValueError(f"OpenCV cannot encode a picture of shape {picture.shape}")
    return f"data:image/png;base64,{base64.b64encode(content.tobytes()).decode()}"
