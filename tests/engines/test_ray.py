"""The engine of a cluster beside that of one machine: the same counts, whatever is lost on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from xlir_bench.collection import Collection, Judgements
from xlir_bench.encoders import Model, ModelInfo, resolve
from xlir_bench.engines import RayEngine, Streaming, stream
from xlir_bench.engines.ray import _QUIET, _Room, _size
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.progress import SILENT
from xlir_bench.retrieval import Heads, plan_shards
from xlir_bench.suites import load

for name, value in _QUIET.items():
    os.environ.setdefault(name, value)  # for here it is not the engine that imports Ray first

TOPS = Heads(100, by_language=True)
WITHOUT = "Ray is not installed: pip install 'xlir-bench[ray]'"

ENCODER = '''
    """Vectors that follow from the text alone; what else is done is said by files in the folder of this one."""

    import os
    import signal
    import time
    from pathlib import Path

    import numpy as np

    HERE = Path(__file__).parent


    def told(name):
        file = HERE / name
        return file.read_text() if file.is_file() else ""


    class Characters:
        def encode(self, texts, *, role, languages):
            if role == "document":
                with (HERE / "encoded").open("a") as file:
                    file.write(f"{os.getpid()} {len(texts)} {os.environ.get('CUDA_VISIBLE_DEVICES', '')}\\n")
                time.sleep(float(told("slow") or 0))
                if told("fails") in texts:
                    raise KeyError("no such thing")
                if told("kills") in texts and os.getpid() != int(told("driver")):
                    os.kill(os.getpid(), signal.SIGKILL)
            vectors = np.zeros((len(texts), 64), np.float32)
            for row, text in enumerate(texts):
                codes = np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.int64)
                np.add.at(vectors[row], (codes * 31 + np.arange(len(codes)) % 3) % 64, 1)
            return vectors


    def made():
        return Characters()
'''


class Place:
    """The encoder's file and what it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = f"{folder / 'characters.py'}:made"
        (folder / "characters.py").write_text(textwrap.dedent(ENCODER))

    def tell(self, **settings: object) -> None:
        for name, value in settings.items():
            (self.folder / name).write_text(str(value))

    @property
    def calls(self) -> list[tuple[int, int, str]]:
        """Process, texts and visible GPUs of each call for documents."""
        file = self.folder / "encoded"
        lines = file.read_text().splitlines() if file.is_file() else []
        found = [line.split(" ") for line in lines]
        return [(int(process), int(texts), gpus) for process, texts, gpus in found]

    @property
    def documents(self) -> int:
        """How many texts of documents were encoded."""
        return sum(texts for _, texts, _ in self.calls)

    def model(self) -> Model:
        return resolve(self.id)

    def engine(self, device: str | None = None) -> RayEngine:
        return RayEngine(partial(resolve, self.id), device)


class Watching:
    """Progress that does something after some of the advances."""

    def __init__(self, then: dict | None = None) -> None:
        self.documents = self.advances = 0
        self.then = then or {}

    def stage(self, name, total, unit):
        return self if unit == "documents" else SILENT.stage(name, total, unit)

    def advance(self, steps=1):
        self.documents += steps
        self.advances += 1
        self.then.get(self.advances, lambda: None)()

    def note(self, text):
        pass


def table(ranks) -> list:
    """All that a table of ranks says."""
    arrays = [ranks.outranked, ranks.tied, ranks.ahead, ranks.leaders.query, ranks.leaders.place]
    names = [list(getattr(ranks, name)) for name in ("query_id", "document_id", "document_language")]
    return [*(array.tobytes() for array in arrays), *names]


def tops(ranks) -> dict[str, list]:
    """The first documents of all rankings, by language of documents."""
    return {pool: list(ranks.rankings.of_pool(pool, ranks.rankings.queries, 100)) for pool in ranks.rankings.pools}


@pytest.fixture
def place(tmp_path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="module")
def parallel(parallel_suite) -> Collection:
    """Three languages of a parallel collection: all their sentences, every tenth question."""
    whole = load(parallel_suite, languages=["de", "en", "th"])
    tenth = whole.judgements.query % 10 == 0
    judged = (column[tenth] for column in (whole.judgements.query, whole.judgements.document, whole.judgements.gain))
    return Collection(whole.queries, whole.documents, Judgements(*judged), whole.questions)


@pytest.fixture(scope="module")
def expected(parallel, tmp_path_factory) -> list:
    """What the engine of one machine gives."""
    model = Place(tmp_path_factory.mktemp("local")).model()
    return table(stream(model, parallel, Streaming(700), across_languages=True).ranks)


@pytest.fixture(scope="module")
def expected_tops(parallel, tmp_path_factory) -> dict[str, list]:
    """What the engine of one machine keeps by name."""
    model = Place(tmp_path_factory.mktemp("local")).model()
    return tops(stream(model, parallel, Streaming(700), across_languages=True, heads=TOPS).ranks)


class Machines:
    """A cluster on this machine, of nodes that have a core each, and what is to be known of it."""

    def __init__(self) -> None:
        cluster_utils = pytest.importorskip("ray.cluster_utils", reason=WITHOUT)
        self.cluster = cluster_utils.Cluster()
        self.add(include_dashboard=False, _system_config={"health_check_period_ms": 1000})

    def add(self, **options):
        return self.cluster.add_node(num_cpus=1, object_store_memory=80_000_000, **options)

    def grow(self, nodes: int) -> None:
        while len(self.cluster.list_all_nodes()) < nodes:
            self.add()

    def kill_node(self) -> None:
        """All of a machine that is not the first: what runs on it dies with its raylet."""
        lost = self.cluster.list_all_nodes()[-1]
        (raylet,) = lost.all_processes["raylet"]
        os.kill(raylet.process.pid, signal.SIGKILL)
        self.cluster.worker_nodes.discard(lost)
        lost.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)


@pytest.fixture(scope="module")
def machines():
    with pytest.MonkeyPatch.context() as patch:
        found = Machines()
        patch.setenv("RAY_ADDRESS", found.cluster.address)
        yield found
        found.cluster.shutdown()


def test_without_ray_the_message_says_what_to_install(parallel, place, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingResourceError, match=r"pip install 'xlir-bench\[ray\]'"):
        stream(place.model(), parallel, Streaming(engine=place.engine()), across_languages=True)


def test_a_cluster_that_is_not_there_is_named(parallel, place, monkeypatch):
    pytest.importorskip("ray", reason=WITHOUT)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(MissingResourceError, match=r"RAY_ADDRESS=127\.0\.0\.1:1: there is no cluster to connect to"):
        stream(place.model(), parallel, Streaming(engine=place.engine()), across_languages=True)


def test_each_gpu_has_an_actor_with_its_share_of_the_cores():
    def cluster(*nodes):
        return SimpleNamespace(nodes=lambda: [{"Alive": alive, "Resources": has} for alive, has in nodes])

    eight, two = {"CPU": 64.0, "GPU": 8.0}, {"CPU": 12.0, "GPU": 2.0}
    mixed = cluster((True, eight), (True, two), (True, {"CPU": 4.0}), (False, eight))
    assert _Room.of(mixed, None) == _Room.of(mixed, "cuda:1") == _Room(10, 6, 1)
    assert _Room.of(mixed, "cpu") == _Room(16 + 3 + 1, 4, 0)
    plain = cluster((True, {"CPU": 4.0}), (True, {}))
    assert _Room.of(plain, None) == _Room(1, 4, 0)
    with pytest.raises(MissingResourceError, match="no machine of the Ray cluster has a GPU"):
        _Room.of(plain, "cuda")
    with pytest.raises(MissingResourceError, match="a core to give"):
        _Room.of(cluster((True, {})), None)


def test_the_size_of_a_shard_is_about_its_characters(parallel):
    documents = parallel.documents
    for shard in plan_shards(len(documents), 400):
        characters = sum(len(documents.texts[row]) for row in range(shard.start, shard.stop))
        assert _size(shard, documents) == pytest.approx(characters, rel=0.25)


def test_a_cluster_of_this_machine_is_started_and_ended_where_there_is_none(parallel, expected, place, monkeypatch):
    ray = pytest.importorskip("ray", reason=WITHOUT)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    streaming = Streaming(2000, engine=place.engine())
    assert table(stream(place.model(), parallel, streaming, across_languages=True).ranks) == expected
    assert not ray.is_initialized()


@pytest.mark.parametrize(("nodes", "size"), [(1, 1000), (2, 70), (3, 1234), (3, 100_000)])
def test_any_number_of_shards_on_any_number_of_machines_gives_the_counts_and_rankings_of_one(
    machines, parallel, expected, expected_tops, place, nodes, size
):
    machines.grow(nodes)
    progress = Watching()
    streaming = Streaming(size, engine=place.engine())
    found = stream(place.model(), parallel, streaming, across_languages=True, heads=TOPS, progress=progress)
    assert table(found.ranks) == expected
    assert tops(found.ranks) == expected_tops
    assert progress.documents == len(parallel.documents)
    workers = {process for process, _, _ in place.calls} - {os.getpid()}
    assert len(workers) == min(nodes, len(plan_shards(len(parallel.documents), size)))


def test_a_model_of_the_program_itself_is_sent(machines, parallel):

    class Lengths:
        def encode(self, texts, *, role, languages):
            return np.array([[len(text), text.count("e"), 1] for text in texts], np.float32)

    model = Model(ModelInfo("lengths", "lengths", "c" * 64), Lengths())
    local = stream(model, parallel, Streaming(), across_languages=True)
    found = stream(model, parallel, Streaming(900, engine=RayEngine()), across_languages=True)
    assert table(found.ranks) == table(local.ranks)


def test_vectors_are_kept_by_the_workers_and_read_by_either_engine(machines, parallel, place, tmp_path):
    kept = str(tmp_path / "kept")
    first = stream(
        place.model(), parallel, Streaming(900, keep=f"file://{kept}", engine=place.engine()), across_languages=True
    )
    first.records.clear()
    before = place.documents
    model = place.model()
    again = stream(model, parallel, Streaming(900, keep=kept), across_languages=True)
    # Ten probes, and of each language six, twice, to look whether what is stored holds good.
    looked_at = 10 + 2 * 6 * len(parallel.documents.sizes)
    judged = len(set(parallel.judgements.document.tolist()))
    assert place.documents - before <= looked_at + judged
    assert table(again.ranks) == table(first.ranks)
    # The shards, and the sample by which the vectors of a model that is code are checked.
    assert {path.suffix for path in Path(kept).rglob("*") if path.is_file()} == {".half", ".vectors"}


def test_storage_that_a_worker_does_not_see_is_refused(machines, parallel, place):
    streaming = Streaming(900, keep="memory://of-one-process", engine=place.engine())
    with pytest.raises(InputError, match="does not see the folder of --keep-embeddings"):
        stream(place.model(), parallel, streaming, across_languages=True)


def test_a_worker_with_other_weights_is_refused(machines, parallel, place):
    streaming = Streaming(900, engine=RayEngine(partial(resolve, "random")))
    with pytest.raises(InputError, match="has another model under the name"):
        stream(place.model(), parallel, streaming, across_languages=True)


def unjudged(collection: Collection, least: int) -> str:
    """The text of a document from row `least` on that only its own shard encodes."""
    judged = set(collection.judgements.document.tolist())
    return collection.documents.texts[next(row for row in range(least, len(collection.documents)) if row not in judged)]


def test_a_shard_that_always_fails_is_named_in_one_line_and_the_others_are_kept(
    machines, parallel, expected, place, tmp_path
):
    place.tell(fails=unjudged(parallel, 3300))
    streaming = Streaming(300, records=str(tmp_path / "records"), engine=place.engine())
    with pytest.raises(InputError) as failure:
        stream(place.model(), parallel, streaming, across_languages=True)
    assert str(failure.value).startswith("shard 11 (documents 3,300 to 3,455): encoder ")
    assert str(failure.value).endswith("(KeyError: 'no such thing')")
    assert "texts beginning with document" in str(failure.value)
    assert "\n" not in str(failure.value)
    place.tell(fails="")
    before = place.documents
    assert table(stream(place.model(), parallel, streaming, across_languages=True).ranks) == expected
    assert place.documents - before < 0.3 * len(parallel.documents)


def test_a_shard_that_kills_every_worker_is_named_in_one_line(machines, parallel, place):
    place.tell(kills=unjudged(parallel, 3200), driver=os.getpid())
    with pytest.raises(MissingResourceError) as failure:
        stream(place.model(), parallel, Streaming(1000, engine=place.engine()), across_languages=True)
    assert str(failure.value).startswith("shard 3 (documents 3,000 to 3,455): the worker died 3 times in a row (")
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("order", ["local, then ray", "ray, then local"])
def test_a_run_begun_on_one_engine_is_finished_on_the_other(machines, parallel, expected, place, tmp_path, order):
    records = str(tmp_path / "records")
    local, ray = Streaming(300, records=records), Streaming(300, records=records, engine=place.engine())
    begun, finished = (local, ray) if order.startswith("local") else (ray, local)

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stream(place.model(), parallel, begun, across_languages=True, progress=Watching({7: stop}))
    before = place.documents
    found = stream(place.model(), parallel, finished, across_languages=True)
    assert table(found.ranks) == expected
    assert place.documents - before < 0.6 * len(parallel.documents)


def test_a_worker_and_then_a_machine_are_killed_and_the_counts_are_the_same(machines, parallel, expected, place, capfd):
    machines.grow(3)
    model = place.model()
    before = len(place.calls)
    place.tell(slow=0.3)
    killed = []

    def kill_worker():
        process, _, _ = place.calls[-1]
        assert process != os.getpid()
        killed.append(process)
        os.kill(process, signal.SIGKILL)

    progress = Watching({2: kill_worker, 5: machines.kill_node})
    found = stream(model, parallel, Streaming(150, engine=place.engine()), across_languages=True, progress=progress)
    assert table(found.ranks) == expected
    assert progress.documents == len(parallel.documents)
    workers = {process for process, _, _ in place.calls[before:]} - {os.getpid()}
    assert len(workers) > 3  # three at first, and what was started for those that were lost
    assert len(machines.cluster.list_all_nodes()) == 2
    assert not capfd.readouterr().out  # where only results belong


def command(place: Place, output: Path, suite: Path, *more: str) -> list[str]:
    main = [sys.executable, "-c", "from xlir_bench.cli.main import main; main()"]
    asked = ["run", place.id, "--suite", str(suite), "--languages", "de,th"]
    return [*main, *asked, "--output", str(output), "--shard-size", "150", *more]


def test_a_run_whose_program_is_killed_goes_on_from_the_shards_that_were_counted(
    machines, place, parallel_folder, parallel_suite, tmp_path
):
    collection = load(parallel_suite, languages=["de", "th"])
    records = tmp_path / "records"
    place.tell(slow=0.5)
    asked = command(place, tmp_path / "out", parallel_folder, "--engine", "ray", "--records", str(records))
    running = subprocess.Popen(asked, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(list(records.rglob("*.counts"))) < 3 and time.monotonic() < deadline and running.poll() is None:
        time.sleep(0.05)
    running.kill()
    assert running.wait() == -signal.SIGKILL
    before = place.documents
    place.tell(slow=0)
    streaming = Streaming(150, records=str(records), engine=place.engine())
    resumed = stream(place.model(), collection, streaming, across_languages=True)
    assert place.documents - before < len(collection.documents) - 300
    assert table(resumed.ranks) == table(stream(place.model(), collection, Streaming(), across_languages=True).ranks)


def test_the_command_line_says_which_shard_fails_and_ends_with_2(
    machines, place, parallel_folder, parallel_suite, tmp_path
):
    place.tell(fails=unjudged(load(parallel_suite, languages=["de", "th"]), 1060))
    asked = command(place, tmp_path / "out", parallel_folder, "--engine", "ray")
    done = subprocess.run(asked, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("xlir-bench: error: shard 7 (documents 1,050 to 1,199): encoder ")
    assert last.endswith("(KeyError: 'no such thing')")
    assert "Traceback" not in done.stderr
