"""Explain an object store's errors to the person who named the file. Torch-free.

s3fs turns a store's answers into OSErrors (403 is PermissionError, a missing key or bucket FileNotFoundError). Errors
that botocore finds before there is an answer (no credentials, no server, a time-out) come as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, NoCredentialsError, PartialCredentialsError

UNREACHED = (OSError, BotoCoreError)
"""The errors of a store that cannot be read."""
REFUSED = (PermissionError, NoCredentialsError, PartialCredentialsError)
"""Retrying with the same credentials would not help."""
CREDENTIALS = (
    "the environment's credentials (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or a profile) must be allowed to open it"
)
MISSING = "check the names of bucket and file; a bucket must exist before it is used"
AWAY = "AWS_ENDPOINT_URL sets the store's endpoint (default: Amazon's); `ablate doctor` checks the store of the artifacts"
REASON_CHARACTERS = 300


@contextmanager
def map_store_errors(name: str) -> Iterator[None]:
    """Turn a store's errors into ValueError. Only calls of the store may be in the block.

    Args:
        name: the requested file or URL.

    Raises:
        ValueError: it cannot be read; the message has the name, the reason and a hint.
    """
    try:
        yield
    except (*UNREACHED, ValueError) as error:
        raise ValueError(store_error(name, error)) from error


def store_error(name: str, error: Exception) -> str:
    """Return the message for a file that could not be read."""
    return f"{name}: cannot be read ({reason(error)})\nhint: {hint(error)}"


def reason(error: Exception) -> str:
    """Return the error's message on one line, after its type."""
    said = " ".join(str(error).split())[:REASON_CHARACTERS]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def hint(error: Exception) -> str:
    """Return what to check."""
    if isinstance(error, REFUSED):
        return CREDENTIALS
    return MISSING if isinstance(error, FileNotFoundError) else AWAY
