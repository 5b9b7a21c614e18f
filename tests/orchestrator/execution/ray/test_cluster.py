"""A local cluster is reached by nobody else, and imports nothing that happens to lie where it was started."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
PROGRAM = """
import json, os, psutil, ray
from orchestrator.execution.ray.cluster import connect, disconnect
from tests.support.toy import toy_settings

folder = connect(toy_settings({home}, slots=1))

@ray.remote
def imported():
    import model, sys
    from model.config import stages
    return [model.__file__, sys.path]

found = ray.get(imported.remote())
processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
listening = sorted({{each.laddr.ip for process in processes for each in process.net_connections() if each.status == "LISTEN"}})
print(json.dumps({{"imported": found, "listening": listening, "processes": len(processes)}}))
disconnect(folder)
"""


def test_local_cluster_listens_on_loopback_and_imports_nothing_from_the_current_folder(tmp_path):
    (tmp_path / "model.py").write_text("raise SystemExit('a file beside the study was imported')\n")
    (tmp_path / "torch.py").write_text("raise SystemExit('a file beside the study was imported')\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "RAY_USAGE_STATS_ENABLED": "0"}
    program = PROGRAM.format(home=f"__import__('pathlib').Path({str(tmp_path)!r})")
    done = subprocess.run([sys.executable, "-P", "-W", "ignore", "-c", program], cwd=tmp_path, env=environment,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    file, path = found["imported"]
    assert file == str(ROOT / "model" / "__init__.py")
    assert str(tmp_path) not in path
    assert found["processes"] > 4
    assert set(found["listening"]) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
