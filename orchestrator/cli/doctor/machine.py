"""What the doctor looks at on this machine: Python, packages, names of settings, folders, disk, memory, GPU."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

from model.config.fields import did_you_mean
from model.manifest import CorruptDirectory, verify
from orchestrator.artifacts.store import packaged
from orchestrator.cli.doctor.finding import Finding
from orchestrator.errors import OrchestratorError
from orchestrator.settings import Settings, known_names, our_variables

LEAST_FREE_GIB = 2.0
"""A sweep of tiny checkpoints needs less, a real one more: below this nothing is worth starting."""
LEAST_SHARED_MIB = 200
"""Ray keeps its object store there; a container often has 64 MiB."""
TINY = "packaged:tiny"
SHADOWED = ("model", "orchestrator", "dashboard", "torch", "numpy", "transformers", "ray", "mlflow", "optuna", "sqlalchemy",
            "pydantic", "streamlit", "yaml", "click", "rich")
"""Packages that a file or a folder of the same name would come before."""
GPU_CHECK = "model.training.device_check"
GPU_CHECK_S = 300
"""Seconds; to compile a first kernel takes a minute."""


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at this machine, cheapest first."""
    yield _python()
    yield from _packages()
    yield _names()
    yield _shadows()
    yield _home(settings)
    yield _disk(settings)
    yield _shared_memory()
    yield _checkpoint()
    yield _chromium()
    if settings.gpus_per_slot or shutil.which("nvidia-smi"):
        yield _gpu()


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", sys.version_info >= (3, 11), found, "install Python 3.11 or newer")


def _packages() -> Iterator[Finding]:
    try:
        requirements = [Requirement(text) for text in importlib.metadata.requires("ablate") or ()]
    except importlib.metadata.PackageNotFoundError:
        yield Finding("packages", False, "ablate itself is not installed", "make setup")
        return
    wrong = [problem for each in requirements if not each.marker and (problem := _package_problem(each))]
    core = ", ".join(f"{name} {_version(name)}" for name in ("torch", "ray", "mlflow", "streamlit"))
    yield Finding("packages", not wrong, "; ".join(wrong) or core, "make setup")


def _package_problem(requirement: Requirement) -> str:
    version = _version(requirement.name)
    if version is None:
        return f"{requirement.name} is missing"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"{requirement.name} is {version}; allowed: {requirement.specifier}"
    return ""


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _names() -> Finding:
    """Find variables that look like settings, and are none: a misspelt one changes nothing, and says nothing."""
    known = known_names()
    unknown = [f"{name}: no such setting; {did_you_mean(name, known)}" for name in our_variables() if name not in known]
    number = sum(name in known for name in our_variables())
    return Finding("settings", not unknown, "; ".join(unknown) or f"{number} are set by the environment",
                   "`ablate settings` lists them all; unset or rename what is none")


def _shadows() -> Finding:
    """Find files and folders on the import path that come before a package of the same name."""
    found = [f"{path} comes before the package {name}" for name in SHADOWED for path in _other_copies(name)]
    return Finding("import path", not found, "; ".join(found) or "no package is hidden by a file of its name",
                   "rename it, or take its folder out of PYTHONPATH")


def _other_copies(name: str) -> Iterator[Path]:
    spec = importlib.util.find_spec(name)
    ours = Path(spec.origin).resolve() if spec is not None and spec.origin else None
    for folder in map(Path, dict.fromkeys(sys.path)):
        for path in (folder / f"{name}.py", folder / name / "__init__.py"):
            if path.resolve() == ours:
                return
            if path.is_file():
                yield path.absolute()


def _home(settings: Settings) -> Finding:
    """Try to write where the home is, or will be made; what is not there is not made by looking."""
    folder = _nearest(settings.home)
    try:
        with tempfile.TemporaryFile(dir=folder):
            there = "" if folder == settings.home else ", which the first study makes"
            return Finding("home", True, f"{settings.home}{there}")
    except OSError as error:
        return Finding(
            "home", False, f"{settings.home}: {error.strerror}", "set ABLATE_HOME to a folder you may write to"
        )


def _nearest(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _disk(settings: Settings) -> Finding:
    folder = _nearest(settings.artifacts)
    free_gib = shutil.disk_usage(folder).free / 2**30
    return Finding("disk", free_gib >= LEAST_FREE_GIB, f"{free_gib:.0f} GiB free at {folder}",
                   f"free at least {LEAST_FREE_GIB:.0f} GiB, or set ABLATE_ARTIFACTS to a larger disk")


def _shared_memory() -> Finding:
    folder = Path("/dev/shm")  # noqa: S108 (only looked at)
    if not folder.is_dir():
        return Finding("shared memory", True, f"{folder} is not there; Ray keeps its objects on the disk")
    free_mib = shutil.disk_usage(folder).free / 2**20
    return Finding("shared memory", free_mib >= LEAST_SHARED_MIB, f"{free_mib:.0f} MiB free at {folder}",
                   f"Ray needs {LEAST_SHARED_MIB} MiB: `shm_size` of the container")


def _checkpoint() -> Finding:
    try:
        directory = packaged(TINY)
        verify(directory)
    except (CorruptDirectory, OrchestratorError) as error:
        return Finding(
            "checkpoint", False, str(error).splitlines()[0], "restore model/checkpoints/tiny from the repository"
        )
    return Finding("checkpoint", True, f"{TINY} is whole")


def _chromium() -> Finding:
    path = shutil.which("chromium")
    return Finding("chromium", True, path or "not found (optional: only the browser tests need it)",
                   "" if path else "apt-get install chromium")


def _gpu() -> Finding:
    """Multiply and compile on each GPU, in a process of its own: this one loads no torch."""
    fix = "see the driver (nvidia-smi), the CUDA build of torch, and for compiled kernels a C compiler and a cache folder that may run code"
    command = [sys.executable, "-P", "-m", GPU_CHECK]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GPU_CHECK_S, check=False)
    except subprocess.TimeoutExpired:
        return Finding("gpu", False, f"no answer within {GPU_CHECK_S} s", fix)
    if done.returncode != 0:
        return Finding("gpu", False, (done.stderr.strip().splitlines() or ["the check ended without a word"])[-1], fix)
    devices = json.loads(done.stdout)
    wrong = [f"{each['name']}: {each['problem']}" for each in devices if each["problem"]]
    names = ", ".join(f"{each['name']}, {each['memory_gib']:.0f} GiB" for each in devices)
    return Finding("gpu", bool(devices) and not wrong, "; ".join(wrong) or names or "torch sees no GPU", fix)
