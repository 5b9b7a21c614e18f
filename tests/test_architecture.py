"""What may import what, one door per vendor, calls that are banned: read from the syntax trees, nothing is run.

Each check is a pure function of one `Module` (or of all) that returns violations as text; the classes at the end show
that it catches one.
"""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("model", "orchestrator", "dashboard")

ORDER = (
    "dashboard",
    "orchestrator.cli", "orchestrator.deploy", "orchestrator.home", "orchestrator.driver", "orchestrator.search", "orchestrator.tracking",
    "orchestrator.results",
    "orchestrator.analysis", "orchestrator.execution", "orchestrator.ledger", "orchestrator.scheduler", "orchestrator.plan",
    "orchestrator.artifacts", "orchestrator.study", "orchestrator.failpoints", "orchestrator.exposure", "orchestrator.settings",
    "orchestrator.states", "orchestrator.redaction", "orchestrator.formatting", "orchestrator.errors",
    "model.weights", "model.evaluation", "model.training", "model.hf", "model.data", "model.workbench", "model.cost",
    "model.network", "model.images", "model.samples", "model.plugins", "model.config", "model.manifest", "model.huggingface", "model.seeds",
)
"""From top to bottom: what stands here may import what stands below it, and nothing above."""
APART = (("orchestrator.execution", "orchestrator.ledger"), ("orchestrator.analysis", "orchestrator.execution"))
"""Pairs that do not know each other."""

MAY_IMPORT = {"model": {"model"}, "orchestrator": {"orchestrator", "model"}, "dashboard": {"dashboard", "orchestrator", "model"}}

# vendor -> the files or folders (trailing slash) that may import it
DOORS: dict[str, tuple[str, ...]] = {
    "ray": ("orchestrator/execution/ray/",),
    "optuna": ("orchestrator/search/",),
    "mlflow": ("orchestrator/tracking/",),
    "sqlalchemy": ("orchestrator/ledger/", "orchestrator/tracking/sqlite_store.py"),  # the latter sets up MLflow's connections
    "alembic": ("orchestrator/ledger/",),
    "psycopg": ("orchestrator/ledger/",),
    "yaml": ("orchestrator/study/strict_yaml.py",),
    "pydantic": ("orchestrator/study/study.py", "orchestrator/study/documents.py", "orchestrator/settings.py"),
    "pydantic_settings": ("orchestrator/settings.py",),
    "fsspec": ("orchestrator/artifacts/", "model/data/sources/"),
    "s3fs": ("orchestrator/artifacts/",),
    "botocore": ("orchestrator/artifacts/", "model/data/sources/"),
    "psutil": ("orchestrator/execution/system_metrics.py", "orchestrator/deploy/processes.py"),
    "pynvml": ("orchestrator/execution/system_metrics.py",),
    "click": ("orchestrator/cli/",),
    "rich": ("orchestrator/cli/",),
    "torch": ("model/", "orchestrator/execution/worker.py"),  # the worker gives memory back and names what ran out
    "safetensors": ("model/",),
    "rapidfuzz": ("model/evaluation/",),
    "requests": ("model/evaluation/judge/endpoint.py",),
    "transformers": ("model/network/", "model/weights/", "model/hf/", "model/data/tokenizer.py", "model/data/encoding.py",
                     "model/training/optimizer.py", "model/evaluation/subject.py"),
    "lmms_eval": ("model/evaluation/lmms_eval/",),
    "accelerate": ("model/evaluation/lmms_eval/",),
    "huggingface_hub": ("model/huggingface.py",),
    "tokenizers": ("model/data/tokenizer.py", "model/data/lengths.py"),
    "numpy": ("model/", "orchestrator/analysis/", "orchestrator/search/", "orchestrator/results/figures.py", "dashboard/charts/"),
    "scipy": ("model/", "orchestrator/analysis/", "orchestrator/search/", "dashboard/charts/"),
    "PIL": ("model/images/", "model/samples.py", "model/data/", "model/workbench/", "model/evaluation/local_copies/",
            "model/evaluation/lmms_eval/"),
    "pyarrow": ("model/evaluation/local_copies/", "model/data/sources", "orchestrator/results/tables.py",
                "orchestrator/results/record.py", "orchestrator/results/stored_scores.py"),
    "pandas": ("orchestrator/results/frames.py", "orchestrator/home.py"),
    "webdataset": ("model/data/sources",),
    "matplotlib": ("orchestrator/results/figures.py",),
    "streamlit": ("dashboard/app.py", "dashboard/views/"),
    "plotly": ("dashboard/charts/",),
}

# Ray's task body resolves the worker in the worker process, so that driver and command line never import torch.
# `from model import register` loads transformers; `import model` must stay free of torch. `import orchestrator` likewise, of pandas.
# Plans read the workbench's rows and versions; its makers load Pillow.
DEFERRED = {
    ("orchestrator/execution/ray/slot.py", "orchestrator.execution.worker"),
    ("orchestrator/execution/ray/slot.py", "orchestrator.execution.ray.train"),
    ("orchestrator/execution/ray/train.py", "orchestrator.execution.worker"),
    ("model/__init__.py", "model.hf.saving"),
    # A study that takes nothing from the ledger is validated without it: that import takes longer than the check.
    ("orchestrator/cli/planning/validate.py", "orchestrator.results.planning"),
    # Commands that open nothing remote do not wait for fsspec.
    ("model/data/sources/files.py", "fsspec"),
    ("model/data/sources/hub_files.py", "fsspec.utils"),
    ("orchestrator/__init__.py", "orchestrator"),
    ("model/workbench/__init__.py", "model.workbench"),
}
# click's lazy group: a subcommand's module by a name from its own table.
DYNAMIC = {"orchestrator/cli/lazy.py"}
# The worker's border and the outbox's flusher.
BROAD = {"orchestrator/execution/record.py": 1, "orchestrator/tracking/flusher.py": 1}
ENVIRONMENT = {
    "orchestrator/settings.py",      # the one reader
    "orchestrator/execution/ray/cluster.py",   # what Ray reads from the environment of its children has to be put there
    "orchestrator/execution/worker.py",        # one device and one number of threads for each process
}
SEEDS = {"model/training/stage.py", "model/training/dry_run.py", "model/weights/assemble.py"}

# What the dashboard may know of the orchestrator: the read side, pure types, and the one door for its buttons.
DASHBOARD_MAY = (
    "orchestrator.ledger", "orchestrator.analysis", "orchestrator.results", "orchestrator.plan", "orchestrator.study",
    "orchestrator.artifacts", "orchestrator.settings", "orchestrator.exposure", "orchestrator.errors", "orchestrator.states",
    "orchestrator.formatting",
)
INSIDE = {"orchestrator.execution.worker", "orchestrator.execution.ray.train"}  # imported in worker processes alone
HEAVY = {"torch", "transformers"}

BANNED_IMPORTS = {"pickle", "cPickle", "joblib", "dill", "cloudpickle", "marshal", "shelve", "skops"}
BANNED_CALLS = {"eval", "exec", "compile", "os.system", "os.popen", "yaml.unsafe_load", "yaml.full_load", "mlflow.pyfunc.load_model",
                "pd.read_pickle", "pandas.read_pickle"}
BANNED_KEYWORDS = {"allow_pickle", "trust_remote_code", "unsafe_allow_html", "shell"}
SEEDING = {"torch.manual_seed", "torch.cuda.manual_seed_all", "random.seed", "np.random.seed", "numpy.random.seed"}

TOP_LEVEL = {"orchestrator", "model", "studies", "dashboard", "tests", "docker-compose.yml", "Dockerfile", "Makefile", "pyproject.toml",
             "requirements.lock", "README.md", "CHANGELOG.md", "LICENSE"}


@dataclass(frozen=True)
class Module:
    """One file of the product: its place and its syntax tree."""

    path: str
    tree: ast.Module

    @property
    def name(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def module(path: str, source: str) -> Module:
    return Module(path, ast.parse(source))


def imported(node: ast.AST) -> list[str]:
    """Return the dotted names that an import statement may load; `from a import b` may load a and a.b."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def imports(each: Module) -> list[tuple[int, str]]:
    return [(node.lineno, name) for node in ast.walk(each.tree) if isinstance(node, ast.Import | ast.ImportFrom) for name in imported(node)]


def annotation_only(tree: ast.Module) -> set[ast.AST]:
    """Return the nodes under `if TYPE_CHECKING:`, which never run."""
    guarded = [node for node in ast.walk(tree) if isinstance(node, ast.If) and dotted(node.test).endswith("TYPE_CHECKING")]
    return {inner for node in guarded for statement in node.body for inner in ast.walk(statement)}


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))


def dotted(node: ast.AST) -> str:
    """Return `a.b.c` for a name or a chain of attributes, else an empty text."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = dotted(node.value)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


def calls(each: Module) -> Iterator[tuple[ast.Call, str]]:
    return ((node, dotted(node.func)) for node in ast.walk(each.tree) if isinstance(node, ast.Call))


def inside(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or (not place.endswith(".py") and path.startswith(place)) for place in places)


# --- the checks ---

def wrong_direction(each: Module) -> list[str]:
    allowed = MAY_IMPORT[each.path.split("/")[0]]
    ours = {*PACKAGES, "tests", "studies"}
    return [f"{each.path}:{line}: imports {name}" for line, name in imports(each)
            if name.split(".")[0] in ours and name.split(".")[0] not in allowed]


def floor(name: str) -> str:
    """Return the entry of the order that a module belongs to, an empty text if none."""
    return next((entry for entry in ORDER if name == entry or name.startswith(entry + ".")), "")


def upward(each: Module) -> list[str]:
    """Find imports, deferred ones too, that do not go down the order; within a package, circles are looked for."""
    mine = floor(each.name)
    if not mine:
        return [] if each.name in PACKAGES else [f"{each.path}: has no place in ORDER"]
    found = []
    for line, name in imports(each):
        other = floor(name)
        is_up = other and other != mine and ORDER.index(other) < ORDER.index(mine)
        if is_up or (mine, other) in APART or (other, mine) in APART:
            found.append(f"{each.path}:{line}: {mine} imports {name}")
    return found


def circles(modules: list[Module]) -> list[str]:
    """Find modules that import one another, by deferred imports too; `from package import module` counts for the module alone."""
    names = {each.name for each in modules}
    graph = {each.name: {name for node in ast.walk(each.tree) for name in _targets(node, names)} - {each.name} for each in modules}
    while leaves := {name for name, below in graph.items() if not below}:
        graph = {name: below - leaves for name, below in graph.items() if name not in leaves}
    return sorted(graph)


def _targets(node: ast.AST, names: set[str]) -> set[str]:
    found = {name for name in imported(node) if name in names}
    is_submodule = isinstance(node, ast.ImportFrom) and all(f"{node.module}.{alias.name}" in names for alias in node.names)
    return found - {node.module} if is_submodule else found


def two_way_pairs(modules: list[Module]) -> list[tuple[str, str]]:
    """Find folders that import each other; a folder and one inside it are not a pair."""
    names = {each.name: each for each in modules}
    folder = {name: each.path.rpartition("/")[0] for name, each in names.items()}
    arrows = {(folder[each.name], folder[target]) for each in modules for node in ast.walk(each.tree)
              for target in _targets(node, set(names))}
    return sorted((a, b) for a, b in arrows if a < b and (b, a) in arrows and not b.startswith(a + "/"))


def wide_lines(modules: list[Module]) -> tuple[int, int]:
    """Count the lines of over 120 characters, and all lines."""
    lines = [line for each in modules for line in (ROOT / each.path).read_text(encoding="utf-8").splitlines()]
    return sum(len(line) > 120 for line in lines), len(lines)


def wrong_door(each: Module) -> list[str]:
    return [f"{each.path}:{line}: imports {name}; its door is {DOORS[name.split('.')[0]][0]}" for line, name in imports(each)
            if name.split(".")[0] in DOORS and not inside(each.path, DOORS[name.split(".")[0]])]


def deferred_import(each: Module) -> list[str]:
    found = [(node.lineno, name) for function in functions(each.tree) for node in ast.walk(function) for name in imported(node)[:1]]
    dynamic = [f"{each.path}:{node.lineno}: {name}" for node, name in calls(each)
               if name in {"importlib.import_module", "__import__", "import_module"} and each.path not in DYNAMIC]
    far = [f"{each.path}:{node.lineno}: relative import" for node in ast.walk(each.tree)
           if isinstance(node, ast.ImportFrom) and node.level > 1]
    return [f"{each.path}:{line}: {name} inside a function" for line, name in found if (each.path, name) not in DEFERRED] + dynamic + far


def banned_call(each: Module) -> list[str]:
    found = [f"{each.path}:{line}: imports {name}" for line, name in imports(each) if name.split(".")[0] in BANNED_IMPORTS]
    for node, name in calls(each):
        keywords = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
        true = {key for key, value in keywords.items() if isinstance(value, ast.Constant) and value.value is True}
        if name in BANNED_CALLS or (name == "yaml.load" and each.path != "orchestrator/study/strict_yaml.py"):
            found.append(f"{each.path}:{node.lineno}: calls {name}")
        if name == "torch.load" and "weights_only" not in true:
            found.append(f"{each.path}:{node.lineno}: torch.load without weights_only=True")
        found += [f"{each.path}:{node.lineno}: {key}=True" for key in sorted(true & BANNED_KEYWORDS)]
    return found


def built_sql(each: Module) -> list[str]:
    """Find text() around anything but a constant: bound parameters only."""
    return [f"{each.path}:{node.lineno}: text() of a built string" for node, name in calls(each)
            if name in {"text", "sqlalchemy.text", "sa.text"} and node.args and each.path.startswith("orchestrator/ledger")
            and not isinstance(node.args[0], ast.Constant)]


def broad_handlers(each: Module) -> int:
    """Count handlers that catch everything."""
    handlers = [node for node in ast.walk(each.tree) if isinstance(node, ast.ExceptHandler)]
    caught = [{dotted(part) for part in ast.walk(node.type)} if node.type else {"Exception"} for node in handlers]
    return sum(bool({"Exception", "BaseException"} & names) for names in caught)


def environment_read(each: Module) -> list[str]:
    return [f"{each.path}:{node.lineno}: reads the environment" for node in ast.walk(each.tree)
            if dotted(node) in {"os.environ", "os.getenv"} and each.path not in ENVIRONMENT]


def hidden_seed(each: Module) -> list[str]:
    return [f"{each.path}:{node.lineno}: {name}" for node, name in calls(each) if name in SEEDING and each.path not in SEEDS]


def logging_set_up(each: Module) -> list[str]:
    """Find logging that is set up by an import; a program may do it in its main function."""
    later = {inner for function in functions(each.tree) for inner in ast.walk(function)}
    return [f"{each.path}:{node.lineno}: {name}" for node, name in calls(each) if name == "logging.basicConfig" and node not in later]


def beyond_read_side(each: Module) -> list[str]:
    return [f"{each.path}:{line}: imports {name}" for line, name in imports(each)
            if each.path.startswith("dashboard/") and name.startswith("orchestrator.")
            and not any(name == may or name.startswith(may + ".") for may in DASHBOARD_MAY)]


def loads_torch(modules: list[Module]) -> list[str]:
    """Find modules outside `model` and the worker processes from which torch can be reached by plain imports."""
    graph = {each.name: _loaded(each) for each in modules}
    free = [name for name in graph if not name.startswith("model") and name not in INSIDE]
    return [f"{name} reaches {found}" for name in free for found in [_heavy_below(name, graph)] if found]


def _loaded(each: Module) -> set[str]:
    never = annotation_only(each.tree) | {inner for function in functions(each.tree) for inner in ast.walk(function)}
    names = {name for node in ast.walk(each.tree) if node not in never for name in imported(node)}
    return {".".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 2)}


def _heavy_below(start: str, graph: dict[str, set[str]]) -> str:
    seen, waiting = {start}, [(start, start)]
    while waiting:
        name, way = waiting.pop()
        if name in HEAVY:
            return way
        fresh = graph.get(name, set()) - seen
        seen |= fresh
        waiting += [(each, f"{way} > {each}") for each in sorted(fresh)]
    return ""


# --- the product ---

def product() -> list[Module]:
    paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return [module(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")) for path in paths]


def tracked() -> list[str]:
    return subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


MODULES = product()


@pytest.mark.parametrize("check", [wrong_direction, upward, wrong_door, deferred_import,
                                   banned_call, built_sql, environment_read, hidden_seed,
                                   logging_set_up, beyond_read_side])
def test_no_module_breaks_the_rule(check):
    violations = [violation for each in MODULES for violation in check(each)]
    assert not violations, "\n".join(violations)


def test_no_modules_import_one_another():
    assert circles(MODULES) == []


def test_no_folders_import_each_other():
    assert two_way_pairs(MODULES) == []


def test_no_folder_of_code_holds_more_than_32_modules():
    counts = Counter(each.path.rpartition("/")[0] for each in MODULES if not each.path.endswith("__init__.py"))
    assert {folder: count for folder, count in counts.items() if count > 32} == {}


def test_one_line_in_a_hundred_is_wide():
    wide, total = wide_lines(MODULES)
    assert wide <= total / 100


def test_torch_is_reached_through_the_worker_alone():
    assert loads_torch(MODULES) == []


def test_only_the_two_named_borders_catch_everything():
    counts = {each.path: broad_handlers(each) for each in MODULES}
    assert {path: count for path, count in counts.items() if count > BROAD.get(path, 0)} == {}


def test_top_level_holds_nothing_else():
    assert {path.split("/")[0] for path in tracked() if not path.startswith(".")} - TOP_LEVEL == set()


def test_studies_are_data():
    assert [path for path in tracked() if path.startswith("studies/") and path.endswith(".py")] == []


def test_files_have_names_that_say_something():
    empty = {"utils.py", "util.py", "common.py", "helpers.py", "misc.py"}
    assert [each.path for each in MODULES if each.path.split("/")[-1] in empty] == []


@pytest.mark.parametrize("name", [
    "orchestrator.cli.main", "orchestrator.cli.plan", "orchestrator.cli.run", "orchestrator.cli.status", "orchestrator.cli.data.list",
    "orchestrator.cli.data.check", "orchestrator.driver.loop", "orchestrator.results.results", "orchestrator.search.proposals",
    "orchestrator.tracking.flusher", "orchestrator.tracking.query", "orchestrator.execution.ray.executor", "dashboard.app",
    "dashboard.queries", "dashboard.charts"])
def test_importing_it_loads_no_torch(name):
    script = f"import sys, importlib; importlib.import_module({name!r}); print(sorted({{'torch', 'transformers'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


# --- the checks catch what they are for ---

CAUGHT = [
    (wrong_direction, "model/x.py", "from orchestrator import plan"),
    (wrong_direction, "orchestrator/x.py", "import dashboard.charts"),
    (upward, "orchestrator/ledger/read.py", "from orchestrator.results import budget"),
    (upward, "orchestrator/plan/x.py", "def f():\n    from orchestrator.driver.loop import drive"),
    (upward, "orchestrator/execution/x.py", "from orchestrator.ledger import read"),
    (upward, "model/new/x.py", "import json"),
    (wrong_door, "orchestrator/driver/loop.py", "import ray.train"),
    (wrong_door, "dashboard/app.py", "from sqlalchemy import text"),
    (wrong_door, "orchestrator/driver/loop.py", "def f():\n    import torch"),
    (deferred_import, "orchestrator/driver/loop.py", "def f():\n    from orchestrator import worker"),
    (deferred_import, "orchestrator/driver/loop.py", "import importlib\nimportlib.import_module('x')"),
    (deferred_import, "orchestrator/ledger/read.py", "from ..errors import StaleWrite"),
    (banned_call, "model/x.py", "import pickle"),
    (banned_call, "model/x.py", "torch.load(path)"),
    (banned_call, "model/x.py", "torch.load(path, weights_only=False)"),
    (banned_call, "model/x.py", "eval('1')"),
    (banned_call, "model/x.py", "np.load(path, allow_pickle=True)"),
    (banned_call, "orchestrator/x.py", "yaml.load(text, Loader=yaml.SafeLoader)"),
    (banned_call, "dashboard/app.py", "st.markdown(name, unsafe_allow_html=True)"),
    (built_sql, "orchestrator/ledger/read.py", "text(f'select {name}')"),
    (built_sql, "orchestrator/ledger/read.py", "sqlalchemy.text('select %s' % name)"),
    (environment_read, "orchestrator/driver/loop.py", "os.environ.get('HOME')"),
    (hidden_seed, "model/network/vision.py", "torch.manual_seed(1)"),
    (logging_set_up, "model/network/vision.py", "import logging\nlogging.basicConfig()"),
    (beyond_read_side, "dashboard/app.py", "from orchestrator.driver.loop import drive"),
]


@pytest.mark.parametrize(("check", "path", "source"), CAUGHT)
def test_a_violation_is_caught(check, path, source):
    assert check(module(path, source))


ALLOWED = [
    (wrong_direction, "dashboard/app.py", "from orchestrator.ledger import read\nimport model.config.stages"),
    (wrong_door, "model/network/vision.py", "import torch.nn as nn"),
    (deferred_import, "orchestrator/execution/ray/slot.py", "def f():\n    from orchestrator.execution.worker import execute"),
    (banned_call, "model/x.py", "torch.load(path, weights_only=True)\nmodel.eval()\nnp.load(path, allow_pickle=False)"),
    (built_sql, "orchestrator/ledger/read.py", "text('select 1')"),
    (logging_set_up, "model/training/__main__.py", "def main():\n    logging.basicConfig()"),
    (beyond_read_side, "dashboard/app.py", "from orchestrator.ledger.read import studies"),
]


@pytest.mark.parametrize(("check", "path", "source"), ALLOWED)
def test_what_is_allowed_passes(check, path, source):
    assert check(module(path, source)) == []


@pytest.mark.parametrize("caught", ["", " Exception", " (OSError, Exception)", " BaseException as error"])
def test_a_broad_handler_is_counted(caught):
    assert broad_handlers(module("x.py", f"try: f()\nexcept{caught}: pass")) == 1


def test_modules_that_import_one_another_are_found():
    pair = [module("orchestrator/a.py", "from orchestrator import b"), module("orchestrator/b.py", "def f():\n    import orchestrator.a"),
            module("orchestrator/c.py", "import orchestrator.a")]
    assert circles(pair) == ["orchestrator.a", "orchestrator.b", "orchestrator.c"]


def test_torch_behind_two_imports_is_found():
    chain = [module("orchestrator/a.py", "from orchestrator import b"), module("orchestrator/b.py", "import model.network.mm15"),
             module("model/network/mm15.py", "import torch")]
    assert [each.split(" ")[0] for each in loads_torch(chain)] == ["orchestrator.a", "orchestrator.b"]


def test_torch_in_a_function_or_an_annotation_is_not_loaded():
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\ndef f():\n    import torch"
    assert loads_torch([module("orchestrator/a.py", source)]) == []
