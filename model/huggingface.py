"""The Hugging Face hub: what is asked of it, and what its failures mean in words for whoever named it. The door of `huggingface_hub`.

- `HF_ENDPOINT` names another hub than huggingface.co, `HF_TOKEN` opens what is gated, `HF_HUB_OFFLINE=1` asks nothing: they are the
  operator's, and a study cannot set them. What a file of the hub redirects to, its stores of large files, is the hub's choice.
- At a commit nothing ever changes, so a file that lies in the cache is not asked for again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # its name for whichever httpx it was built on

TIMEOUT_S = 30.0
FAILURES = (httpx.HTTPError, OSError, ValueError)
"""What huggingface_hub raises: of the connection, of the hub's answer (both kinds at once), and of names that cannot be."""
REASON_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Listing:
    """What a data set holds at a commit."""

    names: tuple[str, ...]
    """Files, by their path in the repository."""
    configs: tuple[Any, ...]
    """The card's `configs`, as somebody wrote them: which files belong to which subset and split. Empty where there are none."""


def end_point() -> tuple[str, str]:
    """Return scheme and host name of the hub that is asked."""
    parts = urlsplit(constants.ENDPOINT)
    return parts.scheme, parts.hostname or ""


def list_dataset(dataset: str, commit: str) -> Listing:
    """Ask what a data set holds.

    Raises:
        ValueError: there is no such data set or commit, it is gated, or the hub cannot be reached.
    """
    with _asking(f"hub data set {dataset}@{commit[:8]}"):
        info = HfApi().dataset_info(dataset, revision=commit, timeout=TIMEOUT_S)
    configs = info.card_data.get("configs") if info.card_data else None
    return Listing(tuple(sorted(each.rfilename for each in info.siblings or ())), tuple(configs) if isinstance(configs, list) else ())


def fetch_from_dataset(dataset: str, commit: str, name: str, *, cache: Path) -> Path:
    """Return the local path of a file of a data set, fetched unless it is there.

    Raises:
        ValueError: it cannot be had.
    """
    with _asking(f"hub data set {dataset}@{commit[:8]}: {name}"):
        return Path(hf_hub_download(dataset, name, repo_type="dataset", revision=commit, cache_dir=cache))


def fetch_model(repository: str, revision: str | None, *, patterns: Sequence[str], cache: Path | None) -> Path:
    """Return the local folder of a model's repository, fetched as far as it is not there.

    Args:
        repository: `owner/name`.
        revision: a commit, branch or tag; None is the main branch.
        patterns: of the files that are fetched.
        cache: None is huggingface_hub's own.

    Raises:
        ValueError: it cannot be had.
    """
    with _asking(repository):
        return Path(snapshot_download(repository, revision=revision, allow_patterns=list(patterns), cache_dir=cache))


@contextmanager
def _asking(what: str) -> Iterator[None]:
    try:
        yield
    except FAILURES as error:
        said = " ".join(str(error).split())[:REASON_CHARACTERS]
        raise ValueError(f"{what}: not to be had from the hub ({type(error).__name__}: {said})\nhint: {_hint(error)}") from error


def _hint(error: Exception) -> str:
    if isinstance(error, GatedRepoError):
        return "its owner asks for consent: give it on the hub's page, and set HF_TOKEN to a token of that account"
    if isinstance(error, RevisionNotFoundError):
        return "the repository is there, this revision is not; `git ls-remote` of its address lists what is"
    if isinstance(error, RepositoryNotFoundError):
        return "names are owner/name; a private one needs HF_TOKEN"
    if isinstance(error, ValueError) and not isinstance(error, OSError):
        return "names are owner/name; weights may be owner/name@revision or a folder"
    return f"the hub is {constants.ENDPOINT} (HF_ENDPOINT); without a network its cache serves what was fetched before"
