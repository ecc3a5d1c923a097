"""A process's wall clock, set forward and back while it runs, as an operator or NTP would.

A small library, loaded before all others, adds a number of seconds to ``CLOCK_REALTIME``; the
number is in a file that the process maps. Time that only rises is left alone.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static volatile long *ahead;

__attribute__((constructor)) static void begin(void) {
    int file = open(getenv("EMF_TEST_AHEAD"), O_RDONLY);
    ahead = mmap(0, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
}

int clock_gettime(clockid_t which, struct timespec *told) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(which, told);
    if (which == CLOCK_REALTIME && ahead) told->tv_sec += *ahead;
    return failed;
}

int gettimeofday(struct timeval *told, void *zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    told->tv_sec = now.tv_sec;
    told->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *told) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (told) *told = now.tv_sec;
    return now.tv_sec;
}
"""


class Clock:
    """The library and its number, in `folder`; :attr:`environment` has a process use it."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("setting a process's clock needs a C compiler")
        source, library = folder / "clock.c", folder / "clock.so"
        source.write_text(SOURCE)
        command = [compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
        subprocess.run(command, check=True)
        self._ahead = folder / "ahead"
        self.set(0)
        self.environment = {"LD_PRELOAD": str(library), "EMF_TEST_AHEAD": str(self._ahead)}

    def set(self, ahead_s: int) -> None:
        """From now on the clock is `ahead_s` seconds ahead of the machine's."""
        if not self._ahead.exists():
            self._ahead.write_bytes(bytes(8))
        with self._ahead.open("r+b") as file:
            file.write(struct.pack("@l", ahead_s))
