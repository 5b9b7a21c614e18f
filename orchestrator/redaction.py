"""Take secrets out of a text that will be stored or shown. Pure: what the environment holds is handed in.

- Known secrets are replaced wherever they stand, with the name of the setting that holds them.
- Unknown ones are recognised by where they stand (`password=`, `Bearer`, `user:password@host`) or by their form (keys of
  AWS, the Hugging Face hub, GitHub and others, web tokens, private keys).
- To take away too much is cheap, to show a password is not: a quoted value goes up to its quote, any other up to the
  next space.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

HIDDEN = "<redacted>"
SHORTEST = 6
"""Shorter values are words of a text rather than secrets."""
_USERINFO = re.compile(r"(://[^/\s:@]*):(\S+)@")
"""The user and the password of a URL, up to the last at-sign of the word."""
_QUERY = re.compile(r"([?&](?:password|passwd|pwd|token|secret|api_?key|access_?key)=)([^&\s]+)", re.IGNORECASE)
_VALUE = r"""("[^"]*"|'[^']*'|[^\s"']+)"""
_NAMES = "password|passwd|pwd|passphrase|secret|credentials?|api[_-]?key|access[_-]?key|private[_-]?key"
_NAMED = re.compile(rf"""(["']?[\w.-]*(?:{_NAMES})["']?\s*[=:]\s*)(?!//){_VALUE}""", re.IGNORECASE)
_TOKEN = re.compile(r"""(["']?[\w.-]*token["']?\s*[=:]\s*["']?)(?=[\w./+=~-]*\d)([\w./+=~-]{8,})""", re.IGNORECASE)
"""A token holds a digit: the special tokens of a tokenizer do not."""
_HEADER = re.compile(r"""(authorization["']?\s*[=:]\s*["']?(?:(?:bearer|basic|token)\s+)?)([^\s"',]+)""", re.IGNORECASE)
_BEARER = re.compile(r"(\bbearer\s+)(?=\S*\d)([\w.~+/=-]{6,})", re.IGNORECASE)
_FORMS = re.compile("|".join((
    r"\bhf_[A-Za-z0-9]{10,}", r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}", r"\bsk-[\w-]{16,}", r"\bgh[pousr]_[A-Za-z0-9]{16,}",
    r"\bgithub_pat_\w{16,}", r"\bglpat-[\w-]{16,}", r"\bxox[abprs]-[\w-]{10,}", r"\bAIza[\w-]{30,}",
    r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*", r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*-----|\Z)")))


def redacted(text: str, known: Iterable[tuple[str, str]]) -> str:
    """Return the text without secrets.

    Args:
        text: to be stored or shown.
        known: name of a setting, secret that it holds.
    """
    for name, secret in sorted(known, key=lambda each: -len(each[1])):
        if len(secret) >= SHORTEST:
            text = text.replace(secret, f"<{name}>")
    text = _FORMS.sub(HIDDEN, text)
    for pattern in (_QUERY, _HEADER, _BEARER, _NAMED, _TOKEN):
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return _USERINFO.sub(rf"\1:{HIDDEN}@", text)


def passwords(value: str) -> Iterator[str]:
    """Yield the passwords of the URLs in a value: encoded, decoded, and the parts that a parser may split off.

    A password may contain slashes and at-signs; libraries then take the URL apart wrongly and show a part of it.
    """
    encoded = [match[2] for match in _QUERY.finditer(value)]
    encoded += [match[2] for match in _USERINFO.finditer(_QUERY.sub("", value))]
    for each in encoded:
        for password in (each, unquote(each)):
            yield password
            yield from re.split(r"[/@:?#]", password)
