"""A judge behind an OpenAI-compatible endpoint.

One prompt, one reply, cached on disk, with retries if the server is busy.

- The key is read from its file for each request. It appears in no message, log or record, and redirects are refused, so
  it is sent nowhere else.
- A reply is cached under the hash of the complete request, and renamed into place when complete. A cached reply costs
  nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

log = logging.getLogger(__name__)
BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
MAX_TOKENS = 1024
MAX_REPLY_BYTES = 2**20
MAX_WAIT_S = 60.0


class JudgeFailed(ValueError):
    """The endpoint gave no usable reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a judge is reached. None of these settings changes what it replies."""

    url: str
    """Base URL of the API, such as `https://host/v1`."""
    key_file: Path | None = None
    """File that contains only the key; None sends no key."""
    cache: Path | None = None
    """Folder of cached replies; None caches nothing."""
    attempts: int = 6
    """The most requests for one reply, including the first."""
    timeout_s: float = 120.0


def unreachable(endpoint: Endpoint, *, timeout_s: float = 10.0) -> str:
    """Return why an endpoint does not list its models, "" if it does; asks once, and for no reply of a model."""
    try:
        headers = _headers(endpoint)
        response = requests.get(f"{endpoint.url.rstrip('/')}/models", headers=headers, timeout=timeout_s, allow_redirects=False)
    except (requests.RequestException, OSError, JudgeFailed) as error:
        return f"{type(error).__name__} while asking" if isinstance(error, requests.RequestException) else str(error)
    return "" if response.status_code == 200 else f"HTTP {response.status_code}"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the judge said."""

    text: str
    is_cached: bool


class Judge:
    """One model at one endpoint.

    Args:
        endpoint: where to send prompts.
        model: name and version, as the endpoint knows them.
        sleep: waits between attempts; takes seconds.
    """

    def __init__(self, endpoint: Endpoint, model: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self.endpoint, self.model, self._sleep = endpoint, model, sleep

    def ask(self, prompt: str, *, system: str = "", temperature: float = 0.0) -> Reply:
        """Return the reply to a prompt.

        Raises:
            JudgeFailed: the endpoint refused, could not be reached or gave no readable reply in all attempts; the
                message does not contain the key.
        """
        messages = [{"role": "system", "content": system}] if system else []
        asked = {
            "model": self.model,
            "messages": [*messages, {"role": "user", "content": prompt}],
            "temperature": temperature,
            "max_tokens": MAX_TOKENS,
        }
        path = self._path(asked)
        if path is not None and (known := _known(path, asked)) is not None:
            return Reply(known, is_cached=True)
        text = self._post(asked)
        if path is not None:
            _keep(path, asked, text)
        return Reply(text, is_cached=False)

    def _path(self, asked: dict[str, Any]) -> Path | None:
        if self.endpoint.cache is None:
            return None
        name = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        return self.endpoint.cache / name[:2] / f"{name}.json"

    def _post(self, asked: dict[str, Any]) -> str:
        problem = ""
        for attempt in range(self.endpoint.attempts):
            problem, text, wait_s = self._once(asked)
            if text is not None:
                return text
            if wait_s is None:
                break
            if attempt + 1 < self.endpoint.attempts:
                log.warning("judge %s: %s; the request is repeated", self.model, problem)
                self._sleep(min(wait_s or 2.0**attempt, MAX_WAIT_S))
        raise JudgeFailed(
            f"judge {self.model} at {self.endpoint.url}: {problem}; allowed: an OpenAI-compatible endpoint that answers\n"
            "hint: ABLATE_JUDGE_URL sets the endpoint, ABLATE_JUDGE_KEY_FILE the file with its key"
        )

    def _once(self, asked: dict[str, Any]) -> tuple[str, str | None, float | None]:
        """Return (problem, text, seconds to wait). Without text and wait, another request would not help."""
        try:
            response = requests.post(
                f"{self.endpoint.url.rstrip('/')}/chat/completions",
                json=asked,
                headers=_headers(self.endpoint),
                timeout=self.endpoint.timeout_s,
                allow_redirects=False,
                stream=True,
            )
            with response:
                body = response.raw.read(MAX_REPLY_BYTES + 1, decode_content=True)
        except (requests.RequestException, OSError) as error:
            return f"{type(error).__name__} while asking", None, 0.0
        if response.status_code in BUSY:
            return f"HTTP {response.status_code}", None, _seconds(response.headers.get("Retry-After", ""))
        if response.status_code != 200:
            return f"HTTP {response.status_code}", None, None
        return _content(body)


def _headers(endpoint: Endpoint) -> dict[str, str]:
    if endpoint.key_file is None:
        return {}
    try:
        key = endpoint.key_file.read_text(encoding="utf-8-sig").strip()
    except OSError as error:
        raise JudgeFailed(f"{endpoint.key_file}: the judge's key cannot be read ({error.strerror})") from error
    return {"Authorization": f"Bearer {key}"}


def _content(body: bytes) -> tuple[str, str | None, float | None]:
    if len(body) > MAX_REPLY_BYTES:
        return f"a reply of more than {MAX_REPLY_BYTES} bytes", None, None
    try:
        text = json.loads(body)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError):
        return "a reply without choices[0].message.content", None, None
    return ("", text, None) if isinstance(text, str) else ("a reply without text", None, None)


def _seconds(text: str) -> float:
    """Return `Retry-After` in seconds, 0 if it is missing or in another form."""
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _known(path: Path, asked: dict[str, Any]) -> str | None:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise JudgeFailed(f"{path}: damaged ({error}); hint: delete it, and the judge is asked again") from error
    return str(kept["reply"]) if kept["asked"] == asked else None


def _keep(path: Path, asked: dict[str, Any], reply: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps({"asked": asked, "reply": reply}, ensure_ascii=False), encoding="utf-8")
    os.replace(temporary, path)
