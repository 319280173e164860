"""Background work: jobs by registered name, and the periodic ones. RQ is used here and in the two processes beside.

Nothing lives in Redis that could not be lost: truth is in the database, a job says only "look there now". So a job may
be lost, or run twice, or late, and each must be written for that; what was lost is found by the periodic jobs.
"""

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn, TypeVar, cast

import redis
from flask import Flask, current_app, g
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.timeouts import TimerDeathPenalty, UnixSignalDeathPenalty
from rq.utils import str_to_date

from wisp.core import audit
from wisp.core.db import after_commit, repeated, session, transaction

QUEUES = ("runs", "routers", "mail", "away")
"""In the order in which a worker looks at them; ``away`` holds what is to be tried with machines that did not answer
last time, so that they never stand before those that do."""
TIMEOUT = 600
KEEP_FAILED = 7 * 24 * 3600
KEEP_KEY = 24 * 3600
CHUNK = 1000
TOGETHER = 128
"""How many calls of a job that takes many it is given at once."""
HELD = 120
"""Seconds for which a worker keeps the others of such jobs out at most, should it be killed."""
SERIALIZER = "json"
ENTRY = "wisp.core.queue.perform"
GIVE_UP = 1.0
"""Seconds after which a page or a command goes on without Redis."""
PAUSE = 3.0
"""Seconds for which it then does not try again."""

log = logging.getLogger(__name__)
F = TypeVar("F", bound=Callable[..., object])
Call = tuple[str, Sequence[Any], str | None]


class TimeUp(BaseException):
    """The time of a job is over. It comes once, so it is no ``Exception``: whoever goes on after errors, we or a
    library, lets it through."""


class TimeLimit(UnixSignalDeathPenalty):
    """How a worker ends a job whose time is over."""

    def handle_death_penalty(self, *_: Any) -> NoReturn:
        """The alarm has gone off."""
        raise TimeUp(f"the job took longer than {self._timeout} seconds")


class _DrainLimit(TimerDeathPenalty):
    """The same without a signal."""

    def __init__(self, timeout: int, *_: Any, **__: Any) -> None:
        super().__init__(timeout, TimeUp)  # type: ignore[no-untyped-call]


class ForeignJob(Exception):
    """A job in Redis that is none of ours."""


class OurJob(Job):
    """A job that is nothing but data, whoever wrote it: JSON, and the name of a registered function. RQ would load
    pickles, import any dotted name, call back and send web requests; with this class what stands in Redis is no code.
    """

    def __init__(self, id: str | None = None, *, connection: "redis.Redis", **_options: Any) -> None:
        super().__init__(id, connection=connection, serializer=SERIALIZER)

    def restore(self, raw_data: Any) -> None:
        """What Redis holds, without what RQ would run or call beside the job."""
        super().restore(raw_data)
        self._success_callback_name = self._failure_callback_name = self._stopped_callback_name = None
        self.webhooks = []
        self.meta = self.meta if isinstance(cast(Any, self.meta), dict) else {}

    @property
    def func(self) -> Callable[..., None]:
        """``perform``, whatever the job says. Raises ForeignJob where it asks for something else."""
        if self.func_name != ENTRY:
            raise ForeignJob(f"refused: {self.func_name!r} is no job of this program")
        return perform


@dataclass(frozen=True)
class Spec:
    """A registered job. ``timeout`` in seconds, after which the worker ends it. ``together``: see ``job``."""

    name: str
    function: Callable[..., object]
    queue: str
    timeout: int
    together: bool = False


@dataclass(frozen=True)
class Periodic:
    """A job that the scheduler enqueues every ``seconds``."""

    job: str
    seconds: int


@dataclass
class _Inline:
    """Calls held back by ``inline()``, in order; a key that waits already is not added again."""

    calls: list[Call] = field(default_factory=list)

    def add(self, call: Call) -> None:
        if specs[call[0]].together:
            call = (call[0], call[1], json.dumps(call[:2]))
        if call[2] is None or all(call[2] != waiting[2] for waiting in self.calls):
            self.calls.append(call)

    def take(self) -> tuple[str, Sequence[Any]]:
        """The next job's name and arguments; the calls that are done together are one job."""
        name, args, _key = self.calls[0]
        if not specs[name].together:
            del self.calls[0]
            return name, args
        taken = [call for call in self.calls if call[0] == name][:TOGETHER]
        self.calls = [call for call in self.calls if call not in taken]
        return name, [list(call[1]) for call in taken]


specs: dict[str, Spec] = {}
wanted: dict[str, Periodic] = {}
rehearsals: list[Callable[[], None]] = []
_inline: ContextVar[_Inline | None] = ContextVar("inline", default=None)


def job(name: str, *, queue: str, timeout: int = TIMEOUT, together: bool = False) -> Callable[[F], F]:
    """Register a function as the job ``name``. It takes plain JSON values and must bear being run twice.

    ``together``: it is given a list of all calls that were enqueued meanwhile, TOGETHER at most, each a list of its
    arguments, and one worker at a time does such jobs of a queue. For what mostly waits for others: it must never keep
    all workers waiting. Calls with the same arguments are one; keys say nothing.
    """
    if queue not in QUEUES:
        raise ValueError(f"no queue {queue!r}; there are {', '.join(QUEUES)}")

    def register(function: F) -> F:
        known = specs.get(name)
        if known is not None and known.function.__module__ != function.__module__:
            raise ValueError(f"two jobs are called {name!r}")
        specs[name] = Spec(name, function, queue, timeout, together)
        return function

    return register


def rehearsal(function: Callable[[], None]) -> Callable[[], None]:
    """Register what a fresh process does before its first job: put the statements that its jobs will need to the
    database, for nobody, so that they are compiled. It runs in a transaction that is rolled back."""
    if function not in rehearsals:
        rehearsals.append(function)
    return function


def rehearse() -> None:
    """Do every rehearsal. One that fails is no harm but the time that a first job then takes."""
    for function in rehearsals:
        try:
            with transaction():
                function()
                raise _Rehearsed
        except _Rehearsed:
            pass
        except Exception as error:
            log.warning("%s.%s: %s", function.__module__, function.__name__, error)


class _Rehearsed(Exception):
    """The end of a rehearsal: nothing of it stays."""


def periodic(id: str, job: str, *, seconds: int) -> None:
    """Have the scheduler enqueue ``job`` (without arguments) every ``seconds``; ``id`` is its fixed name."""
    if seconds < 1:
        raise ValueError("a period is at least one second")
    wanted[id] = Periodic(job, seconds)


def enqueue(name: str, *args: Any, key: str | None = None) -> bool:
    """Have a worker run the job ``name`` soon. Call it from ``after_commit`` or outside a transaction.

    ``key``: where a job with the same key still waits to be started, that one is enough. Never raises because Redis is
    away: it says so in the log and returns False, and a periodic job must find the work.
    """
    return enqueue_many([(name, args, key)])


def enqueue_many(calls: Iterable[Call]) -> bool:
    """Like ``enqueue`` for many at once: ``(name, arguments, key or None)`` each."""
    calls = list(calls)
    for name, _args, _key in calls:
        if name not in specs:
            raise LookupError(f"no job is called {name!r}")
    if session().info.get("writing"):
        raise RuntimeError("a job must be enqueued after the commit: use after_commit()")
    held = _inline.get()
    if held is not None:
        for call in calls:
            held.add(call)
        return True
    if time.monotonic() < g.get("redis_away_until", 0.0):  # this page or command has waited for it already
        return False
    try:
        client = connection()
        for first in range(0, len(calls), CHUNK):
            _push(client, _put_together(client, calls[first : first + CHUNK]))
    except (redis.exceptions.RedisError, OSError) as error:
        names = sorted({name for name, _args, _key in calls})
        log.warning("Redis is away, not enqueued: %s (%s)", ", ".join(names), error)
        g.redis_away_until = time.monotonic() + PAUSE
        return False
    return True


def enqueue_after_commit(calls: Sequence[Call]) -> None:
    """``enqueue_many`` once the present transaction has committed; not at all where it does not."""

    def push() -> None:
        enqueue_many(calls)

    after_commit(push)


def _push(client: "redis.Redis", calls: list[Call]) -> None:
    """Write the calls to Redis in one transaction, without those whose key waits already."""
    waiting = _waiting(client, calls)
    with client.pipeline() as pipeline:
        for queue in QUEUES:
            datas = []
            for name, args, key in calls:
                spec = specs[name]
                if spec.queue != queue or key in waiting:
                    continue
                data = Queue.prepare_data(
                    ENTRY,
                    args=(name, *args),
                    timeout=spec.timeout,
                    result_ttl=0,
                    failure_ttl=KEEP_FAILED,
                    description=name,
                    job_id=_job_id(key),
                )
                datas.append(data)
                if key is not None:
                    waiting.add(key)
                    pipeline.set(_pointer(key), str(data.job_id), ex=KEEP_KEY)
            if datas:
                Queue(queue, connection=client, serializer=SERIALIZER).enqueue_many(datas, pipeline=pipeline)
        pipeline.execute()


def _put_together(client: "redis.Redis", calls: list[Call]) -> list[Call]:
    """Leave the arguments of calls that are done together where their job finds them; the calls with one call of that
    job instead. Before it is looked whether that waits: a job that is begun later finds what was left here."""
    singles: list[Call] = []
    names: dict[str, list[str]] = {}
    for call in calls:
        if specs[call[0]].together:
            names.setdefault(call[0], []).append(json.dumps(call[1]))
        else:
            singles.append(call)
    for name, arguments in names.items():
        client.sadd(_pile(name), *arguments)
    return [*singles, *map(_at_pile, names)]


def _at_pile(name: str) -> Call:
    return name, (), f"together-{name}"


def _pile(name: str) -> str:
    return f"wisp:together:{name}"


def _taken(name: str) -> str:
    return f"wisp:together:{name}:taken"


def _work_off(spec: Spec) -> None:
    """Do what was enqueued of a job that takes many, unless another worker is at such a job of the same queue: that one
    looks again. What was enqueued meanwhile takes its turn behind all that waits."""
    client = connection()
    lock = client.lock(f"wisp:together:{spec.queue}:lock", timeout=HELD)
    if not lock.acquire(blocking=False):
        return
    try:
        _do_pile(client, spec)
    finally:
        try:
            with suppress(redis.exceptions.LockError):  # it took too long, and another worker has begun
                lock.release()
            stir()
        except (redis.exceptions.RedisError, OSError) as error:
            log.warning("Redis is away after %s (%s)", spec.name, error)


def _do_pile(client: "redis.Redis", spec: Spec) -> None:
    """Do one part of a pile. It stays in Redis until it is done: where this worker is killed, it is done again."""
    pile, taken = _pile(spec.name), _taken(spec.name)
    client.sunionstore(pile, [pile, taken])
    calls = cast(list[bytes], client.srandmember(pile, TOGETHER))
    if not calls:
        return
    with client.pipeline() as pipeline:
        pipeline.delete(taken)
        pipeline.sadd(taken, *calls)
        pipeline.srem(pile, *calls)
        pipeline.execute()
    try:
        spec.function([json.loads(call) for call in sorted(calls)])
    finally:
        with suppress(redis.exceptions.RedisError, OSError):
            client.srem(taken, *calls)  # only these: where the lock ran out, another worker is at its own


@job("core.stir", queue="routers", timeout=60)
def stir() -> None:
    """Have the piles worked off in which something is left, now and every minute: their job may have been lost."""
    client = connection()
    names = [name for name, spec in specs.items() if spec.together]
    with client.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.exists(_pile(name), _taken(name))
        left = pipeline.execute() if names else []
    _push(client, [_at_pile(name) for name, there in zip(names, left, strict=True) if there])


periodic("core-stir", "core.stir", seconds=60)


def _pointer(key: str) -> str:
    return f"wisp:waiting:{key}"


def _job_id(key: str | None) -> str | None:
    """A name for the job that only this call has; RQ makes one where there is no key."""
    return None if key is None else f"{key.replace('.', '-')}-{time.time_ns()}"


def _waiting(client: "redis.Redis", calls: list[Call]) -> set[str | None]:
    """The keys among ``calls`` whose job is still in its queue (one that a worker has taken counts no more)."""
    keys = sorted({(key, specs[name].queue) for name, _args, key in calls if key is not None})
    if not keys:
        return set()
    found = [
        (key, queue, job_id)
        for (key, queue), job_id in zip(keys, client.mget([_pointer(key) for key, _queue in keys]), strict=True)
        if job_id is not None
    ]
    queued = {
        queue: set(client.lrange(Queue(queue, connection=client).key, 0, -1))
        for queue in {queue for _key, queue, _job_id in found}
    }
    return {key for key, queue, job_id in found if job_id in queued[queue]}


def connection() -> "redis.Redis":
    """The client that enqueues: it fails soon where Redis is away or does not answer, so that no page hangs."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    url = app.config["WISP"].redis_url
    known = app.extensions.get("wisp_redis")
    if known is None or known[0] != url:
        client = redis.Redis.from_url(
            url, socket_connect_timeout=GIVE_UP, socket_timeout=GIVE_UP, retry=Retry(NoBackoff(), 0)
        )
        known = app.extensions["wisp_redis"] = (url, client)
    found: redis.Redis = known[1]
    return found


def worker_seen(client: "redis.Redis") -> datetime | None:
    """When a worker last gave a sign of life; None where there is none."""
    with client.pipeline(transaction=False) as pipeline:
        for key in client.smembers("rq:workers"):
            pipeline.hget(key, "last_heartbeat")
        found = [str_to_date(text) for text in pipeline.execute() if text]
    return max(found, default=None)


def perform(name: str, *args: Any) -> None:
    """What a worker calls: the job ``name`` as the system. Needs an application context."""
    spec = specs.get(name)
    if spec is None:
        raise LookupError(f"no job is called {name!r}; is the worker an older version than the program?")
    before, begun = audit.actor(), time.monotonic()
    audit.act_as(audit.SYSTEM)
    try:
        if spec.together:
            spec.function(list(args)) if args else _work_off(spec)
        else:
            repeated(lambda: spec.function(*args))
    finally:
        audit.act_as(before)
        log.info("job %s%s: %.2f s", name, args, time.monotonic() - begun)


@contextmanager
def inline() -> Iterator[None]:
    """Run what the block enqueues, and what follows from it, in this process at the block's end, in order.

    Neither worker nor Redis is needed. All jobs are run; the first error, if any, is raised after the last. Where the
    block itself fails, its jobs are enqueued as usual: their rows may be committed.
    """
    held = _Inline()
    token = _inline.set(held)
    try:
        yield
        _run_held(held)
    finally:
        _inline.reset(token)
        if held.calls:  # the block failed or was interrupted
            enqueue_many(held.calls)


def is_inline() -> bool:
    """True inside ``inline()``, also in the jobs it runs: a person waits, so no pause of ours applies."""
    return _inline.get() is not None


def _run_held(held: _Inline) -> None:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    first: Exception | None = None
    while held.calls:
        name, args = held.take()
        try:
            with app.app_context():
                perform(name, *args)
        except Exception as error:
            log.exception("job %s%s failed", name, tuple(args))
            first = first or error
    if first is not None:
        raise first


class _Drain(SimpleWorker):
    """A worker in this process that leaves signals alone and remembers the first error."""

    death_penalty_class = _DrainLimit
    app: Flask
    done = 0
    error: BaseException | None = None

    def _install_signal_handlers(self) -> None:
        """The process has its own."""

    def perform_job(self, job: Job, *rest: Any) -> bool:
        """Run one in a context of its own, as a worker's child does."""
        self.done += 1
        with self.app.app_context():
            return super().perform_job(job, *rest)

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """Keep the error for the caller."""
        self.error = self.error or exc_info[1]


def drain(most: int | None = None) -> int:
    """Work all queues until they are empty, or ``most`` jobs are done, in this process, over the real Redis; for tests
    and the demo's set-up.

    Returns how many jobs were done; the first error of a job is raised at the end.
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    client = redis.Redis.from_url(app.config["WISP"].redis_url)
    for noisy in ("rq.worker", "rq.job"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    try:
        worker = _Drain(QUEUES, connection=client, serializer=SERIALIZER, job_class=OurJob)
        worker.app = app
        worker.work(burst=True, max_jobs=most, logging_level="ERROR")
    finally:
        client.close()
    if worker.error is not None:
        raise worker.error
    return worker.done
