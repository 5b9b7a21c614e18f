"""What an object store's failures mean, in words for whoever named it. Torch-free.

s3fs turns what a store answers into errors of the operating system (403 is PermissionError, a missing key or bucket
FileNotFoundError); what botocore finds before there is an answer (no credentials, nobody there, a time-out) comes as
it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, NoCredentialsError, PartialCredentialsError

UNREACHED = (OSError, BotoCoreError)
"""What a store that cannot be read raises."""
REFUSED = (PermissionError, NoCredentialsError, PartialCredentialsError)
"""Asking again with the same credentials would not help."""
CREDENTIALS = (
    "the environment's credentials (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or a profile) must be allowed to open it"
)
MISSING = "check the names of bucket and file; a bucket must exist before it is used"
AWAY = "AWS_ENDPOINT_URL names the store's end point; without it, it is Amazon's. `ablate doctor` looks at the artifacts' store"
REASON_CHARACTERS = 300


@contextmanager
def map_store_errors(name: str) -> Iterator[None]:
    """Call a store: nothing of ours may stand in the block.

    Args:
        name: the file or address that is asked for.

    Raises:
        ValueError: it cannot be read: which, why, and where to look.
    """
    try:
        yield
    except (*UNREACHED, ValueError) as error:
        raise ValueError(store_error(name, error)) from error


def store_error(name: str, error: Exception) -> str:
    """Return the message for a file that could not be read."""
    return f"{name}: cannot be read ({reason(error)})\nhint: {hint(error)}"


def reason(error: Exception) -> str:
    """Return what was said, on one line; the error's kind where nothing was."""
    said = " ".join(str(error).split())[:REASON_CHARACTERS]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def hint(error: Exception) -> str:
    """Return where to look."""
    if isinstance(error, REFUSED):
        return CREDENTIALS
    return MISSING if isinstance(error, FileNotFoundError) else AWAY
