"""Valkey and Redis servers in the shapes that the Redis probe meets, for tests to start and stop."""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis as driver

from readiness.demo.processes import Server, free_ports, running, valkey_binary

VALKEY = valkey_binary()
DEBIAN_REDIS = Path("/usr/bin/redis-server")
SILENCE = ("--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--daemonize", "no")


def connection(port: int, **options: Any) -> Any:
    """A connection that leaves no trace in the error counters: servers before 7.2 know no CLIENT SETINFO."""
    return driver.Redis(port=port, decode_responses=True, protocol=2, driver_info=None, **options)


@dataclass(frozen=True)
class Instance:
    """A running server; `admin()` is a connection of the test's own."""

    port: int
    password: str = ""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def admin(self) -> Iterator[Any]:
        with connection(self.port, password=self.password or None) as client:
            yield client

    def fill(self, pattern: str, count: int, ttl: int = 3600, value: str = "x") -> None:
        """Keys `pattern` with * replaced by a number; every third second between half of `ttl` and all of it."""
        with self.admin() as client, client.pipeline(transaction=False) as pipe:
            for number in range(count):
                pipe.set(pattern.replace("*", str(number)), value, ex=ttl // 2 + (3 * number) % (ttl // 2))
            pipe.execute()


def answers(port: int, **options: Any) -> Callable[[], bool]:
    """Whether a server speaks there, be it only to refuse."""

    def ready() -> bool:
        try:
            with connection(port, socket_timeout=1, **options) as client:
                return bool(client.ping())
        except driver.AuthenticationError:
            return True
        except driver.RedisError:
            return False

    return ready


@contextlib.contextmanager
def serving(folder: Path, *options: str, binary: Path | None = None, password: str = "") -> Iterator[Instance]:
    """One server with everything silent that is not asked for in `options`."""
    (port,) = free_ports(1)
    program = binary or VALKEY
    assert program is not None
    home = folder / f"redis-{port}"
    home.mkdir()
    argv = [program, "--port", str(port), "--dir", str(home), *SILENCE, *options]
    if password:
        argv += ["--requirepass", password]
    with running(Server("redis", argv, log=home / "log"), answers(port, password=password or None)):
        yield Instance(port, password)


@contextlib.contextmanager
def replicated(
    folder: Path,
    *options: str,
    replica: tuple[str, ...] = (),
    binary: Path | None = None,
    password: str = "",
) -> Iterator[tuple[Instance, Instance]]:
    """A primary with `options`, and a replica that has caught up."""
    # Without the delay a primary waits five seconds for more replicas to synchronise.
    options = (*options, "--repl-diskless-sync-delay", "0")
    login = ("--masterauth", password) if password else ()
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(serving(folder, *options, *login, binary=binary, password=password))
        of = ("--replicaof", f"127.0.0.1 {first.port}")
        second = stack.enter_context(serving(folder, *replica, *login, *of, binary=binary, password=password))

        def attached() -> bool:
            with first.admin() as client:
                return client.info("replication").get("slave0", {}).get("state") == "online"

        until(attached)
        yield first, second


@contextlib.contextmanager
def watched(folder: Path, primary: Instance, count: int = 3, binary: Path | None = None) -> Iterator[list[int]]:
    """That many Sentinels over the primary, all of which know each other; their ports."""
    ports = free_ports(count)
    with contextlib.ExitStack() as stack:
        for port in ports:
            config = folder / f"sentinel-{port}.conf"
            config.write_text(
                f"port {port}\nbind 127.0.0.1\nsentinel monitor cache 127.0.0.1 {primary.port} 2\n"
                "sentinel down-after-milliseconds cache 5000\n"
                + f"sentinel auth-pass cache {primary.password}\n"
                * bool(primary.password)
            )
            argv = [str(binary or VALKEY), str(config), "--sentinel"]
            stack.enter_context(running(Server("sentinel", argv, log=folder / f"{port}.log"), answers(port)))

        def acquainted() -> bool:
            known = []
            for port in ports:
                with connection(port) as client:
                    master = client.execute_command("SENTINEL MASTERS")
                    text = str(master)
                    known.append(f"'num-other-sentinels': {count - 1}" in text and "'num-slaves': 1" in text)
            return all(known)

        until(acquainted, 30)
        yield ports


@contextlib.contextmanager
def clustered(folder: Path, *options: str, count: int = 3, binary: Path | None = None) -> Iterator[list[Instance]]:
    """That many primaries that share the slots between them, without replicas."""
    with contextlib.ExitStack() as stack:
        flags = ("--cluster-enabled", "yes", "--cluster-node-timeout", "5000", *options)
        # Of their own choice the nodes would take 10 000 + port for their bus, which may be no port at all.
        buses = free_ports(count)
        nodes = [
            stack.enter_context(serving(folder, *flags, "--cluster-port", str(bus), binary=binary)) for bus in buses
        ]
        bounds = [16_384 * index // count for index in range(count + 1)]
        for index, node in enumerate(nodes):
            with node.admin() as client:
                client.execute_command("CLUSTER ADDSLOTSRANGE", bounds[index], bounds[index + 1] - 1)
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", index + 1)
                client.execute_command("CLUSTER MEET", "127.0.0.1", nodes[0].port, buses[0])

        def agreed() -> bool:
            states = []
            for node in nodes:
                with node.admin() as client:
                    info = str(client.execute_command("CLUSTER INFO"))
                    states.append(f"'cluster_known_nodes': '{count}'" in info and "'cluster_state': 'ok'" in info)
            return all(states)

        until(agreed, 30)
        yield nodes


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    """Waits for the condition; fails the test where it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the servers did not come together"
        time.sleep(0.05)


@contextlib.contextmanager
def traffic(instance: Instance, act: Callable[[Any, int], object]) -> Iterator[None]:
    """Calls `act(client, number)` again and again in a thread, about 500 times a second."""
    ended = threading.Event()

    def work() -> None:
        with instance.admin() as client:
            number = 0
            while not ended.is_set():
                with contextlib.suppress(driver.ResponseError):
                    act(client, number)
                number += 1
                time.sleep(0.002)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(10)


@contextlib.contextmanager
def impostor(behave: Callable[[socket.socket], None]) -> Iterator[Instance]:
    """A socket that accepts connections and does what `behave` says, each in a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0))

    def handle(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            behave(connection)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield Instance(listener.getsockname()[1])
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def scripted(replies: Callable[[list[str]], bytes]) -> Callable[[socket.socket], None]:
    """A behaviour that answers every command with the bytes that `replies` gives for its words."""

    def behave(connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        while line := stream.readline():
            words = []
            for _ in range(int(line[1:])):
                size = int(stream.readline()[1:])
                words.append(stream.read(size + 2)[:-2].decode())
            connection.sendall(replies(words))

    return behave


def bulk(text: str) -> bytes:
    raw = text.encode()
    return b"$%d\r\n%s\r\n" % (len(raw), raw)


has_valkey = VALKEY is not None
has_debian_redis = DEBIAN_REDIS.exists() and shutil.which("redis-server") is not None
