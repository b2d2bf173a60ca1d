"""A wire that loses packets and is slow, between two network namespaces which have nothing else.

Each namespace has a TUN device, and a process of its own, this file, carries the packets from one to the other, or
does not. What the kernels at the two ends make of it (retransmissions, back-off, time-outs) is real. The namespaces
have no names and the devices no owner but that process: when it ends, so does everything, and nothing can collide.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import fcntl
import functools
import os
import random
import select
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

NEAR, FAR = "10.77.0.1", "10.77.0.2"
SEED = 20_300_101
NEEDS = "needs root, network namespaces, nsenter and /dev/net/tun"

# From <sched.h>, <linux/if_tun.h>, <linux/if.h> and <linux/sockios.h>.
CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x1, 0x1000
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFDSTADDR, IFF_UP = 0x8914, 0x8916, 0x8918, 0x1


@dataclass(frozen=True)
class Wire:
    """The process that carries the packets; `near` and `far` are prefixes of commands that run at those ends."""

    process: subprocess.Popen[str]
    near: tuple[str, ...]
    far: tuple[str, ...]

    def set(self, *, loss: float = 0.0, delay: float = 0.0) -> None:
        """Loses this share of the packets of each direction from now on, and carries the rest `delay` seconds late."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{loss} {delay}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "set\n"


@contextlib.contextmanager
def wire() -> Iterator[Wire]:
    """A perfect one, until it is told otherwise. It also ends with its standard input, and so with this process."""
    argv = [sys.executable, "-I", __file__]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            spaces = process.stdout.readline().split()
            if len(spaces) != 2:
                raise OSError(f"no wire: it {NEEDS}")
            near, far = (("nsenter", f"--net=/proc/{process.pid}/fd/{space}") for space in spaces)
            yield Wire(process, near, far)
        finally:
            process.kill()


@functools.cache
def possible() -> bool:
    """Whether this machine lets us lay a wire and work at its ends; found out once, by trying."""
    if sys.platform != "linux" or shutil.which("nsenter") is None:
        return False
    try:
        with wire() as found:
            return subprocess.run([*found.near, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


# --- the process in between


def _end(own: str, other: str) -> tuple[int, int]:
    """A new namespace in which `other` is reached from `own`: its descriptor, and that of its packets."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    device = os.open("/dev/net/tun", os.O_RDWR)
    # No offloading was asked for, so the kernel hands out packets that are cut to size and have their checksums.
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"wire", IFF_TUN | IFF_NO_PI))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for request, address in ((SIOCSIFADDR, own), (SIOCSIFDSTADDR, other)):
            packed = struct.pack("16sHH4s16x", b"wire", socket.AF_INET, 0, socket.inet_aton(address))
            fcntl.ioctl(control, request, packed)
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH22x", b"wire", IFF_UP))
    return os.open("/proc/self/ns/net", os.O_RDONLY), device


def _carry(near: int, far: int) -> None:
    """Until standard input ends. The fate of the nth packet of a direction is the same in every run."""
    other = {near: far, far: near}
    fates = {near: random.Random(SEED), far: random.Random(SEED + 1)}
    under_way: collections.deque[tuple[float, int, bytes]] = collections.deque()
    loss = delay = 0.0
    while True:
        wait = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        for source in select.select([0, near, far], [], [], wait)[0]:
            data = os.read(source, 65_536)
            if source != 0:
                if fates[source].random() >= loss:
                    under_way.append((time.monotonic() + delay, other[source], data))
            elif data:
                loss, delay = map(float, data.split())
                print("set", flush=True)
            else:
                return
        while under_way and under_way[0][0] <= time.monotonic():
            _, end, data = under_way.popleft()
            with contextlib.suppress(OSError):  # a packet that the kernel does not take is lost
                os.write(end, data)


if __name__ == "__main__":
    (near_space, near_packets), (far_space, far_packets) = _end(NEAR, FAR), _end(FAR, NEAR)
    print(near_space, far_space, flush=True)
    _carry(near_packets, far_packets)
