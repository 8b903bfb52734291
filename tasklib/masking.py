"""What may not be seen: passwords in the names and values that people, logs and plans would get to read."""

from __future__ import annotations

import re

SECRET = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|(^|_)KEY$", re.IGNORECASE)  # in the name of a variable
PASSWORD = re.compile(r"://[^\s{}@]*:[^\s{}]+@")  # in a URL

# For what is only shown, rather a word too many.
_NAME = re.compile(r"PASS|PWD|SECRET|TOKEN|KEY|CREDENTIAL|DSN", re.IGNORECASE)
_IN_A_URL = re.compile(r"(://[^\s:/@]*:)\S*@")
_AS_A_PARAMETER = re.compile(r"(\bpassw(?:or)?d=)('[^']*'|[^\s&]+)", re.IGNORECASE)


def masked(text: str) -> str:
    """A text without the passwords in its URLs and connection strings."""
    return _AS_A_PARAMETER.sub(r"\1***", _IN_A_URL.sub(r"\1***@", text))


def value(name: str, text: str) -> str:
    """The value of a variable, as it may be shown."""
    return "***" if _NAME.search(name) and name != "PGPASSFILE" else masked(text)
