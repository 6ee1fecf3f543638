"""Trials on a real Ray cluster of several nodes on this machine: each is finished once, whatever is killed."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fake_search import FakeSearch, finished
from ray_cluster import two_nodes

from tuning.distributed.drive import drive, on_ray
from zoo.distributed import ray_workers
from zoo.errors import UserError

HELPERS = Path(__file__).parents[1] / "helpers"
FAKE = "fake_runner:trial"


@pytest.fixture(scope="module", autouse=True)
def cluster():
    yield from two_nodes()


def until(true, seconds=60.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def shared(folder):
    """Give a search's folder a journal, by which nodes know that they see it."""
    (folder / "search.jsonl").write_text('{"event": "search"}\n')
    return folder


def test_trials_of_a_killed_node_are_run_again_on_another(tmp_path, cluster):
    node, lines = cluster.add_node(num_cpus=1), []
    search = FakeSearch(shared(tmp_path), [{"seconds": 1.0}] * 8)
    pool = on_ray(cluster.address, 3, tmp_path, runner=FAKE)
    thread = threading.Thread(target=drive, args=(search, pool, lines.append))
    thread.start()
    until(lambda: len(list(tmp_path.glob("trials/*/runs.jsonl"))) >= 3)
    cluster.remove_node(node, allow_graceful=False)
    thread.join(90.0)
    assert not thread.is_alive()
    assert sorted(one["trial"] for one in finished(tmp_path)) == [f"{n:04}" for n in range(1, 9)]
    assert {one["status"] for one in finished(tmp_path)} == {"completed"}
    assert any("was lost with trial" in line for line in lines), lines


def test_killed_driver_resumes_and_leaves_no_task_behind(tmp_path, cluster):
    shared(tmp_path)
    command = [sys.executable, HELPERS / "fake_search.py", tmp_path, "12", cluster.address]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as driver:
        until(lambda: len(finished(tmp_path)) > 2)
        driver.kill()
    before = len(finished(tmp_path))
    assert before < 12
    assert subprocess.run(command, stdout=subprocess.DEVNULL, timeout=90).returncode == 0
    assert sorted(one["trial"] for one in finished(tmp_path)) == [f"{n:04}" for n in range(1, 13)]


def test_folder_that_nodes_do_not_see_comes_back(tmp_path, cluster):
    search = FakeSearch(tmp_path, [{}, {"parent": "0001"}])  # no journal, hence not shared
    drive(search, on_ray(cluster.address, 1, tmp_path, runner=FAKE), lambda line: None)
    assert [one["status"] for one in finished(tmp_path)] == ["completed"] * 2
    lines = [path.read_text().splitlines() for path in sorted(tmp_path.glob("trials/*/runs.jsonl"))]
    assert [len(each) for each in lines] == [1, 1]


def test_a_continued_trial_finds_what_it_continues(tmp_path):
    assignment = {"trial": "0002", "parent": "0001", "values": {}}
    (tmp_path / "trials" / "0001").mkdir(parents=True)
    (tmp_path / "trials" / "0001" / "runs.jsonl").write_text("{}\n")
    settings = '{"runner": "continued_runner:trial"}'
    job = ("tuning.distributed.perform:opened", settings, "/absent", "search.jsonl", b"x", assignment, "trials/0002")
    assert ray_workers.run(*job, None) == (None, b""), "files are missing"
    former = {"trials/0001": ray_workers.packed(tmp_path / "trials" / "0001")}
    outcome, archive = ray_workers.run(*job, former)
    assert outcome["reason"] == "found 0001/runs.jsonl"
    ray_workers.unpack(archive, tmp_path / "back")
    assert (tmp_path / "back" / "model").read_text() == "weights"


def test_archive_that_leads_out_of_its_folder_is_refused(tmp_path):
    import io
    import zipfile

    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("../outside", "x")
    with pytest.raises(UserError, match="outside of its folder"):
        ray_workers.unpack(content.getvalue(), tmp_path / "trial")
    assert not (tmp_path / "outside").exists()


def test_more_than_a_node_has_is_refused_and_so_is_a_cluster_that_is_not_there(tmp_path, cluster):
    with pytest.raises(UserError, match=r"--gpus-per-trial is 0.5, expected at most 0"):
        on_ray(cluster.address, 1, tmp_path, gpus=0.5)
    import ray

    ray.shutdown()
    with pytest.raises(UserError, match="--ray nonsense: no cluster answers"):
        on_ray("nonsense", 1, tmp_path)


def test_runner_that_a_node_does_not_have_ends_the_search(tmp_path, cluster):
    pool = on_ray(cluster.address, 1, tmp_path, runner="no_such_module:trial")
    with pytest.raises(UserError, match=r"(?s)could not begin trial 0001.*no_such_module.*Install this project"):
        drive(FakeSearch(tmp_path, [{}]), pool, lambda line: None)


def test_manifests_in_the_documentation_are_well_formed():
    yaml = pytest.importorskip("yaml")
    folder = HELPERS.parents[1] / "docs" / "cluster"
    manifest = yaml.safe_load((folder / "kuberay.yaml").read_text())
    head, (group,) = manifest["spec"]["headGroupSpec"], manifest["spec"]["workerGroupSpecs"]
    for part in (head, group):
        (container,) = part["template"]["spec"]["containers"]
        assert container["volumeMounts"] == [{"name": "data", "mountPath": "/data"}]
    assert (manifest["kind"], manifest["spec"]["authOptions"]["mode"]) == ("RayCluster", "token")
    assert subprocess.run(["bash", "-n", folder / "slurm.sh"]).returncode == 0
