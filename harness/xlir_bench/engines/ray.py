"""The engine of a cluster: Ray's actors encode and count shards, Ray's tasks add up what they counted.

An actor takes a GPU, or the cores of a machine, loads the model once and is given one shard at a time, the largest
first, so that none of the large ones is left for the end. Counts go to the program that asked, which writes the records
(no other machine needs to see them), and from there to tasks that add them up two by two.

What is lost with a process or a machine is Ray's to repeat: it starts the actor anew wherever there is room
(`max_restarts`) and gives it its shard again (`max_task_retries`). For there to be room, an actor for which no shard is
left is let go. Where the restarts of an actor are used up, a fresh one has its shard; a shard with which that one dies
each time as well is at fault itself, and ends the run.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from xlir_bench.collection import Texts
from xlir_bench.encoders import Model
from xlir_bench.encoders.checkpoint import Foreign, one_line, package
from xlir_bench.engines.ray_worker import Shared, Worker
from xlir_bench.engines.records import Node, Records
from xlir_bench.engines.work import Counted, ShardWork
from xlir_bench.errors import InputError, MissingResourceError, XlirError
from xlir_bench.progress import Stage
from xlir_bench.retrieval import Counts, Shard, merge, texts_of

Reference = Any
"""A `ray.ObjectRef`: what a task will have given."""

_RESTARTS = 2
_PATIENCE_S = 10.0
_SAMPLE = 64
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else a warning that this will become the default
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # what it says of lost machines goes to stdout, where only results belong
}
"""Read by Ray when it is imported."""

_MEND = "pip install 'xlir-bench[ray]'"


def check_installed() -> None:
    """Without loading Ray, which takes seconds.

    Raises:
        MissingResourceError: it is not installed.
    """
    if "ray" not in sys.modules and find_spec("ray") is None:
        raise MissingResourceError(f"--engine ray needs the package ray, which is not installed: {_MEND}")


@dataclass(frozen=True)
class RayEngine:
    """Counts of a whole corpus by all machines of a cluster: called as `local.count_locally` is.

    The cluster is the one that this program is connected to, else that of `RAY_ADDRESS`, else one of this machine
    alone, which is started and ended again.

    Attributes:
        load: makes the model on the device that it is given ("cuda", "cpu", None for the best there is); goes through
            pickle. None sends the model itself.
        device: as typed: one that begins with "cuda" wants a GPU per actor, another one none; None takes GPUs where the
            cluster has some.
    """

    load: Callable[[str | None], Model] | None = None
    device: str | None = None

    def __call__(
        self, work: ShardWork, documents: Texts, shards: Sequence[Shard], records: Records, stage: Stage
    ) -> Counted:
        """See `local.count_locally`.

        Raises:
            InputError: see `ShardWork`; or a machine has another model, or does not see the storage for vectors.
            MissingResourceError: Ray or the cluster is not there, or a worker died again and again with one shard.
        """
        known = list(records.cover(len(shards)))
        with _connected() as ray:
            run = _Run(ray, _Tree(ray, records), documents, stage)
            for node, counts in known:
                if counts is None:
                    run.waiting.append(shards[node.number])
                else:
                    stage.advance(counts.documents)
                    run.tree.add(node, counts)
            try:
                with _visible(work) as token:
                    run.hire(_Room.of(ray, self.device), self._shared(ray, work, token))
                    return run.finish()
            except ray.exceptions.RayError as error:
                raise MissingResourceError(
                    f"the Ray cluster failed: {one_line(error)}; the shards counted are kept"
                ) from None
            finally:
                run.dismiss()

    def _shared(self, ray: Foreign, work: ShardWork, token: str) -> Reference:
        retriever = work.retriever if self.load is None else None
        try:
            return ray.put(Shared.of(work, retriever, self.load, token))
        except (TypeError, AttributeError, ValueError) as error:
            # What Ray says of an object that cannot be pickled is a page long.
            reason = str(error).strip().partition("\n")[0]
            raise InputError(
                f"{work.info.id} cannot be sent to other processes ({reason}): put it into a file and name it as "
                "FILE.py:FACTORY"
            ) from None


@dataclass(frozen=True)
class _Room:
    """How many actors a cluster has room for, and what each takes."""

    actors: int
    cores: int
    gpus: int

    @staticmethod
    def of(ray: Foreign, device: str | None) -> _Room:
        """An actor per GPU; without GPUs one per machine, or several on machines that are larger than the smallest."""
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpus = [int(machine.get("GPU", 0)) for machine in machines]
        cores = [int(machine.get("CPU", 0)) for machine in machines]
        if any(gpus) and (device is None or device.startswith("cuda")):
            return _Room(sum(gpus), min(own // gpu for own, gpu in zip(cores, gpus, strict=True) if gpu), 1)
        if device is not None and device.startswith("cuda"):
            raise MissingResourceError("no machine of the Ray cluster has a GPU: leave out --device")
        if not any(cores):
            raise MissingResourceError("no machine of the Ray cluster has a core to give: see `ray status`")
        least = min(own for own in cores if own)
        return _Room(sum(own // least for own in cores), least, 0)

    def is_there(self, ray: Foreign) -> bool:
        """Whether a machine that is alive could hold one actor."""
        alive = (node["Resources"] for node in ray.nodes() if node["Alive"])
        return any(one.get("CPU", 0) >= self.cores and one.get("GPU", 0) >= self.gpus for one in alive)


class _Tree:
    """Counts added up two by two, by tasks, as far as they make up a node of the records."""

    def __init__(self, ray: Foreign, records: Records) -> None:
        self._ray, self._records = ray, records
        # No core of its own: actors have them all, and adding takes milliseconds.
        self._merge = ray.remote(num_cpus=0, max_retries=-1)(merge)
        self._ready: dict[Node, Reference] = {}
        self.pending: dict[Reference, Node] = {}

    def add(self, node: Node, counts: Counts) -> None:
        """Take counts that are kept already; those of a neighbour are merged with them."""
        # A copy that this program owns is there as long as the program is, whatever machine is lost.
        mine = self._ray.put(counts)
        other = Node(node.level, node.number ^ 1)
        theirs = self._ready.pop(other, None)
        if theirs is None:
            self._ready[node] = mine
        else:
            self.pending[self._merge.remote(mine, theirs)] = node.parent

    def take(self, done: Reference) -> None:
        """Keep what a task gave, and go on with it."""
        node = self.pending.pop(done)
        counts = self._ray.get(done)
        self._records.save(node, counts)
        self.add(node, counts)

    def keep(self, node: Node, counts: Counts) -> None:
        """Counts of a shard."""
        self._records.save(node, counts)
        self.add(node, counts)

    def total(self) -> Counts:
        """The counts of all nodes, which have no neighbours left."""
        left = list(self._ready.values())
        while len(left) > 1:
            pairs = [self._merge.remote(*left[at : at + 2]) for at in range(0, len(left) - 1, 2)]
            left = pairs + left[len(pairs) * 2 :]
        counts: Counts = self._ray.get(left[0])
        return counts


class _Run:
    """Shards on their way.

    Attributes:
        waiting: shards that nobody has.
        tree: what becomes of counts.
    """

    def __init__(self, ray: Foreign, tree: _Tree, documents: Texts, stage: Stage) -> None:
        self._ray, self.tree, self._documents, self._stage = ray, tree, documents, stage
        self.waiting: list[Shard] = []
        self._actors: list[Foreign] = []
        self._starting: dict[Reference, Foreign] = {}
        self._busy: dict[Reference, tuple[Foreign, Shard]] = {}
        self._proven: set[Foreign] = set()
        self._room = _Room(0, 0, 0)
        self._shared: list[Reference] = []
        self._done: list[Counted] = []

    def hire(self, room: _Room, shared: Reference) -> None:
        """Start actors, no more than there are shards."""
        # In a list it is fetched once, when an actor asks for it; and it is there while actors may be started anew.
        self._room, self._shared = room, [shared]
        self.waiting.sort(key=lambda shard: _size(shard, self._documents))
        actors = [self._actor() for _ in range(min(room.actors, len(self.waiting)))]
        self._starting = {actor.ready.remote(self._shared): actor for actor in actors}

    def _actor(self) -> Foreign:
        actor = self._ray.remote(Worker).options(
            num_cpus=self._room.cores,
            num_gpus=self._room.gpus,
            max_restarts=_RESTARTS,
            # A machine that is lost is out of reach for a while before Ray knows: any number may be used up by then.
            max_task_retries=-1,
            scheduling_strategy="SPREAD",
        )
        self._actors.append(actor.remote(self._room.cores, self._room.gpus > 0))
        return self._actors[-1]

    def finish(self) -> Counted:
        """Everything, until the last count is added."""
        hired = max(len(self._actors), 1)
        while self._starting or self._busy or self.tree.pending:
            all_there = [*self._starting, *self._busy, *self.tree.pending]
            done, _ = self._ray.wait(all_there, timeout=_PATIENCE_S, fetch_local=False)
            for reference in done:
                self._take(reference)
            self._stage.note("" if done or self._room.is_there(self._ray) else self._wanting())
        return Counted(
            self.tree.total(),
            sum(one.encode_s for one in self._done) / hired,
            sum(one.rank_s for one in self._done) / hired,
            sum(one.encoded for one in self._done),
            sum(one.kept for one in self._done),
        )

    def dismiss(self) -> None:
        """Let all actors go."""
        for actor in self._actors:
            self._let_go(actor)

    def _take(self, done: Reference) -> None:
        if done in self.tree.pending:
            self.tree.take(done)
            return
        if done in self._starting:
            actor = self._starting.pop(done)
            self._result(done, "loading the model")
            self._go_on(actor)
        elif done in self._busy:
            actor, shard = self._busy.pop(done)
            counted: Counted | None = self._result(done, str(shard), forgiving=actor in self._proven)
            if counted is None:
                self._give(self._actor(), shard)
                return
            self._proven.add(actor)
            self.tree.keep(Node(0, shard.number), counted.counts)
            self._done.append(counted)
            self._stage.advance(counted.counts.documents)
            self._go_on(actor)

    def _go_on(self, actor: Foreign) -> None:
        if self.waiting:
            self._give(actor, self.waiting.pop())
            return
        for idle in [actor, *self._starting.values()]:
            self._let_go(idle)
        self._starting.clear()

    def _give(self, actor: Foreign, shard: Shard) -> None:
        self._busy[actor.count.remote(self._shared, shard, texts_of(shard, self._documents))] = actor, shard

    def _let_go(self, actor: Foreign) -> None:
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(actor)

    def _result(self, done: Reference, what: str, *, forgiving: bool = False) -> Any:  # noqa: ANN401  (as the method)
        """What a method of an actor gave; None where the actor is lost, and that is forgiven."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(done)
        except errors.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, XlirError):
                # That of Ray is of our class as well, but says its message with a traceback.
                raise type(cause)(str(cause)) from error
            raise InputError(f"{what}: {one_line(cause)}") from error
        except errors.RayError as error:
            if forgiving:
                return None
            raise MissingResourceError(
                f"{what}: the worker died {_RESTARTS + 1} times in a row ({_reason(error)}): see whether it had memory "
                "enough, or try a smaller --shard-size; the shards counted are kept"
            ) from None

    def _wanting(self) -> str:
        return f"waiting for a machine with {self._room.cores} cores" + (" and a GPU" if self._room.gpus else "")


def _size(shard: Shard, documents: Texts) -> float:
    """About how many characters a shard has: documents of one language are longer than those of another."""
    rows = range(shard.start, shard.stop, -(-len(shard) // _SAMPLE))
    return len(shard) * sum(len(documents.texts[row]) for row in rows) / len(rows)


def _reason(error: Exception) -> str:
    """The last of several lines: those before it are numbers of an actor."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__


@contextmanager
def _connected() -> Iterator[Foreign]:
    """Ray, connected to a cluster; one that was started for this is ended."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    ray = package("ray", "--engine ray", _MEND)
    if ray.is_initialized():
        yield ray
        return
    address = os.environ.get("RAY_ADDRESS")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address:
            _knock(address)
            ray.init(address=address, **quiet)
        else:
            ray.init(address="local", include_dashboard=False, **quiet)
    except Exception as error:
        place = f"RAY_ADDRESS={address}: there is no cluster to connect to" if address else "Ray does not start here"
        raise MissingResourceError(f"{place} ({one_line(error)})") from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Fail at once where nobody listens: Ray goes on trying for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host, int(port)), timeout=_PATIENCE_S).close()


@contextmanager
def _visible(work: ShardWork) -> Iterator[str]:
    """The name of a file where vectors are kept, by which a worker knows that it sees the same place; "" for none."""
    if work.kept is None:
        yield ""
        return
    name = f"{secrets.token_hex(8)}.seen"
    work.kept.write(name, b"")
    try:
        yield name
    finally:
        work.kept.delete(name)
