"""Logs as JSON, one line a record."""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import TextIO

from mien.server.calls.call import current_request_id

_KEY = re.compile(r"mien_([0-9a-f]{12})_[A-Za-z0-9_-]+")

FACTS = "facts"
"""What `extra` of a record may carry: a dictionary that goes into the line."""


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON, with the id of the request that its thread answers.

    Nobody should log an API key; if it happens, its secret is cut out.
    """

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := current_request_id():
            line["request_id"] = request_id
        line |= getattr(record, FACTS, {})
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return without_secrets(json.dumps(line, default=str))


def without_secrets(text: str) -> str:
    """The text with each API key cut down to its id."""
    return _KEY.sub(r"mien_\1_...", text)


def log_to(stream: TextIO = sys.stderr, level: str = "warning") -> logging.Handler:
    """Send what the whole process logs there; returns the handler, to be removed again."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    logging.getLogger("mien").setLevel(level.upper())
    return handler
