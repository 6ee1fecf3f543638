"""Shards on a real Ray cluster: what one machine makes, each item once, whatever is killed."""

import fake_shards
import pytest
from fake_shards import SUFFIX, InProcess, lines
from ray_cluster import two_nodes

from zoo.distributed import ray_workers, shards
from zoo.distributed.drive import drive
from zoo.distributed.ray_workers import RayWorkers

ITEMS = [f"item {number}" for number in range(30)]


@pytest.fixture(scope="module", autouse=True)
def cluster():
    yield from two_nodes()


def on_ray(address, folder, items, mark=shards.MANIFEST):
    said = []
    with shards.opened(folder, {}, items, 4, SUFFIX, resume=True) as found:
        drive(found, RayWorkers(address, 2, folder, fake_shards.job(), mark), said.append)
        found.collect_failed()
    return found, [line for line in said if line]


@pytest.mark.parametrize("mark", [shards.MANIFEST, "no such file"], ids=["shared", "sent back"])
def test_results_are_those_of_one_machine(tmp_path, cluster, mark):
    items = [*ITEMS[:7], "bad", *ITEMS[7:]]
    on_ray(cluster.address, tmp_path / "ray", items, mark)
    with shards.opened(tmp_path / "here", {}, items, 4, SUFFIX, False) as found:
        drive(found, InProcess(tmp_path / "here", fake_shards.job()), lambda line: None)
        found.collect_failed()
    for name in ("shards", "."):
        ours, theirs = (
            {p.name: p.read_bytes() for p in (tmp_path / place / name).iterdir() if p.is_file()}
            for place in ("ray", "here")
        )
        ours.pop(shards.MANIFEST, None), theirs.pop(shards.MANIFEST, None)
        assert ours == theirs


def test_worker_killed_twice_costs_nothing_and_three_times_its_shard(tmp_path, cluster):
    items = [*ITEMS[:9], "die-2", *ITEMS[9:20], "die-9", *ITEMS[20:]]
    found, said = on_ray(cluster.address, tmp_path, items)
    at = items.index("die-9") // 4 * 4
    assert lines(tmp_path) == items[:at] + items[at + 4 :] and found.lost == 1
    assert sum("was lost with shard 000002" in line for line in said) == 2
    assert "its worker died 3 times (WorkerCrashedError" in (tmp_path / "failed.csv").read_text()


def test_driver_without_its_folder_on_the_node_is_known_by_the_manifest(tmp_path):
    """Another folder of the same place on the node, such as a local disk's, gets nothing."""
    (tmp_path / shards.MANIFEST).write_text('{"id": "theirs"}\n')
    (tmp_path / "shards").mkdir()
    content = {"shard": 0, "items": ["a"]}
    job = ("fake_shards:opened", '{"seconds": 0}', str(tmp_path), shards.MANIFEST)
    outcome, archive = ray_workers.run(*job, b'{"id": "ours"}\n', content, "shards", {})
    assert outcome == {} and archive and not list((tmp_path / "shards").iterdir())
    ray_workers.unpack(archive, tmp_path / "back")
    assert (tmp_path / "back" / f"000000{SUFFIX}").read_text() == "a\n"
