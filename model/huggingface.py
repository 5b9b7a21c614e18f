"""Downloads from the Hugging Face hub, with error messages that name the cause. The only importer of `huggingface_hub`.

- The operator sets `HF_ENDPOINT` (another hub than huggingface.co), `HF_TOKEN` (for gated repositories) and
  `HF_HUB_OFFLINE=1` (no requests); a study cannot set them. The hub may redirect to its stores of large files.
- The content of a commit never changes, so a file that is in the cache is not requested again.
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
"""Longest wait for an answer of the hub, in seconds."""
FAILURES = (httpx.HTTPError, OSError, ValueError)
"""Exceptions of huggingface_hub: httpx's for failed connections, an OSError for error answers of the hub, a ValueError
for invalid names."""
REASON_CHARACTERS = 300
"""Length to which the reason in an error message is cut."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository."""

    name: str
    """Path in the repository."""
    num_bytes: int
    """Its size; 0 if the hub does not say it."""
    sha256: str
    """The hash of its content; empty if the hub does not say it, as for small files."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The content of a data set at a commit."""

    names: tuple[str, ...]
    """Paths of the files in the repository, sorted."""
    configs: tuple[Any, ...]
    """`configs` of the data set's card, unchecked: the files of each subset and split; empty if the card has none."""
    commit: str = ""
    """The commit, 40 hex digits."""
    licence: str = ""
    """The licence that the card states; empty if it states none."""
    files: tuple[HubFile, ...] = ()
    """The files with size and hash, as in `names`; empty unless they were requested."""


def end_point() -> tuple[str, str]:
    """Return the scheme and the host name of the hub in use."""
    parts = urlsplit(constants.ENDPOINT)
    return parts.scheme, parts.hostname or ""


def list_dataset(dataset: str, revision: str, *, with_sizes: bool = False) -> Listing:
    """List the files of a data set.

    Args:
        dataset: `owner/name`.
        revision: a commit of 40 hex digits, a branch or a tag.
        with_sizes: whether to ask for size and hash of each file, too.

    Raises:
        ValueError: the data set or the commit does not exist, access is denied, or the hub cannot be reached.
    """
    with _asking(f"hub data set {dataset}@{revision[:8]}"):
        info = HfApi().dataset_info(dataset, revision=revision, timeout=TIMEOUT_S, files_metadata=with_sizes)
    card: Any = info.card_data or {}
    configs, licence = card.get("configs"), card.get("license")
    siblings = sorted(info.siblings or (), key=lambda each: each.rfilename)
    sized = [HubFile(each.rfilename, each.size or 0, each.lfs.sha256 if each.lfs else "") for each in siblings]
    return Listing(
        names=tuple(each.rfilename for each in siblings),
        configs=tuple(configs) if isinstance(configs, list) else (),
        commit=info.sha or "",
        licence=", ".join(map(str, licence)) if isinstance(licence, list) else str(licence or ""),
        files=tuple(sized) if with_sizes else (),
    )


def fetch_from_dataset(dataset: str, commit: str, name: str, *, cache: Path) -> Path:
    """Return the local path of a data set's file; it is fetched if it is not in the cache.

    Args:
        dataset: `owner/name`.
        commit: 40 hex digits.
        name: path of the file in the repository.
        cache: folder of the cache.

    Raises:
        ValueError: the file cannot be fetched.
    """
    with _asking(f"hub data set {dataset}@{commit[:8]}: {name}"):
        return Path(hf_hub_download(dataset, name, repo_type="dataset", revision=commit, cache_dir=cache))


def fetch_model(repository: str, revision: str | None, *, patterns: Sequence[str], cache: Path | None) -> Path:
    """Return the local folder of a model's repository; files that are not in the cache are fetched.

    Args:
        repository: `owner/name`.
        revision: a commit, branch or tag; None is the main branch.
        patterns: file name patterns of the files to fetch.
        cache: folder of the cache; None is the default of huggingface_hub.

    Raises:
        ValueError: the repository cannot be fetched.
    """
    with _asking(repository):
        # Offline is said in words too: of a commit, some releases of huggingface_hub ask the hub all the same.
        return Path(snapshot_download(repository, revision=revision, allow_patterns=list(patterns), cache_dir=cache,
                                      local_files_only=constants.HF_HUB_OFFLINE))


@contextmanager
def _asking(what: str) -> Iterator[None]:
    try:
        yield
    except FAILURES as error:
        reason = " ".join(str(error).split())[:REASON_CHARACTERS]
        raise ValueError(f"{what}: cannot be fetched from the hub ({type(error).__name__}: {reason})\n"
                         f"hint: {_hint(error)}") from error


def _hint(error: Exception) -> str:
    if isinstance(error, GatedRepoError):
        return "its owner asks for consent: give it on the hub's page, and set HF_TOKEN to a token of that account"
    if isinstance(error, RevisionNotFoundError):
        return "the repository exists, but not this revision; `git ls-remote` of its address lists the revisions"
    if isinstance(error, RepositoryNotFoundError):
        return "names are owner/name; a private repository needs HF_TOKEN"
    if isinstance(error, ValueError) and not isinstance(error, OSError):
        return "names are owner/name; weights may be owner/name@revision or a folder"
    return f"the hub is {constants.ENDPOINT} (HF_ENDPOINT); without a network, only cached files can be used"
