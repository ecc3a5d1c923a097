"""The script that runs in a sandbox's subprocess: it gives up what it may do, then runs a draft.

Knows Linux's namespaces, mounts, system calls and limits, by :mod:`ctypes`, and nothing of
emafusion: it is started as ``python -I -S -c SOURCE STEP SETTINGS`` and imports the standard
library alone. First (`enter`) it shuts itself in; then it starts itself anew inside (`perform`)
and runs the program. Of what a draft does nothing here is trusted: the limits are the kernel's.
"""

from __future__ import annotations

import ctypes
import io
import json
import os
import resource
import signal
import struct
import sys
import types
from pathlib import Path
from typing import Final, NoReturn, TypedDict

REFUSED: Final = 97
"""The exit code of a jail that could not be built; standard error says why."""

NEW_NS, NEW_UTS, NEW_IPC = 0x00020000, 0x04000000, 0x08000000
NEW_USER, NEW_PID, NEW_NET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 4096, 16384, 1 << 18
DETACH: Final = 2
NO_NEW_PRIVS, SECCOMP, FILTER, PARENT_DEATH = 38, 22, 2, 1
MOUNT_SETATTR: Final = 442
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
NOBODY: Final = 65534
SYSTEM: Final = ("/usr", "/lib", "/lib64", "/nix/store", "/etc/ld.so.cache")
"""What an interpreter needs beside its own folder: shared libraries."""
ARCHITECTURES: Final[dict[str, dict[str, int]]] = {
    "x86_64": {
        "audit": 0xC000003E, "pivot_root": 155, "shmget": 29, "semget": 64, "msgget": 68,
        "ptrace": 101, "unshare": 272, "add_key": 248, "request_key": 249, "keyctl": 250,
        "perf_event_open": 298, "bpf": 321, "userfaultfd": 323, "io_uring_setup": 425,
    },
    "aarch64": {
        "audit": 0xC00000B7, "pivot_root": 41, "shmget": 194, "semget": 190, "msgget": 186,
        "ptrace": 117, "unshare": 97, "add_key": 217, "request_key": 218, "keyctl": 219,
        "perf_event_open": 241, "bpf": 280, "userfaultfd": 282, "io_uring_setup": 425,
    },
}  # fmt: skip
"""Numbers of system calls: one the jail needs, and those refused to a draft.

Shared memory, because the limit on memory does not count it; the others, because programs do not
need them and attacks on kernels do.
"""
RESULTS: Final = 3
"""The file descriptor that results are written to; the draft's 1 and 2 lead nowhere."""


class Settings(TypedDict):
    """The limits as the sandbox hands them over: seconds, bytes and counts."""

    python: str
    cpu_s: int
    wall_s: float
    call_s: float
    memory: int
    file: int
    disk: int
    files: int
    processes: int
    text: int
    isolate: bool


class Task(TypedDict):
    """What is to be run: a program, and expressions to evaluate after it."""

    program: str
    calls: list[str]


class Overtime(BaseException):
    """A call took longer than its share; no ``except Exception`` of a draft holds it back."""


# ------------------------------------------------------------------ outside, going in


def enter(settings: Settings, source: str) -> None:
    """Shut this process in and run the draft there; the exit code says how it went."""
    again = [settings["python"], "-I", "-S", "-c", source, "perform", json.dumps(settings)]
    _silence()
    os.umask(0o022)
    signal.signal(signal.SIGALRM, lambda *_: os._exit(1))
    if not settings["isolate"]:
        _become(again, settings)
    root = os.geteuid() == 0
    _leave_namespaces(root=root)
    # Whoever waits for results may be killed. The kernel passes that on: from here to the first
    # process of the PID namespace, which takes all others with it when it ends.
    _end_with_parent()
    signal.alarm(int(settings["wall_s"]) + 5)
    if first := os.fork():
        os._exit(os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]) & 127)
    _end_with_parent()
    signal.alarm(int(settings["wall_s"]) + 5)
    _build_root(settings)
    if draft := os.fork():
        os._exit(os.waitstatus_to_exitcode(os.waitpid(draft, 0)[1]) & 127)
    if root:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    # A namespace with nobody in it: no rights over its keeper, no further namespaces, and its
    # processes are counted from nought.
    _call("unshare", NEW_USER)
    _call("prctl", NO_NEW_PRIVS, 1, 0, 0, 0)
    _refuse_calls()
    _become(again, settings)


def _end_with_parent() -> None:
    _call("prctl", PARENT_DEATH, signal.SIGKILL, 0, 0, 0)


def _silence() -> None:
    """Let descriptor 3 lead where standard output led, and standard output nowhere."""
    os.dup2(1, RESULTS)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _leave_namespaces(*, root: bool) -> None:
    inside = NEW_NS | NEW_NET | NEW_PID | NEW_IPC | NEW_UTS
    user, group = os.geteuid(), os.getegid()
    _call("unshare", inside if root else inside | NEW_USER)
    if not root:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{NOBODY} {group} 1", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{NOBODY} {user} 1", encoding="ascii")


def _build_root(settings: Settings) -> None:
    """Make an empty root with the interpreter and the system's libraries to read, and `/tmp`."""
    home = str(Path(settings["python"]).parent.parent)
    new = Path.cwd()
    _mount("none", "/", flags=MS_REC | MS_PRIVATE)
    size = "size=64k,nr_inodes=256,mode=755"
    _mount("tmpfs", str(new), kind="tmpfs", flags=MS_NOSUID | MS_NODEV, data=size)
    for place in [*SYSTEM, sys.base_prefix, home]:
        _show(Path(place), new)
    (new / "tmp").mkdir(exist_ok=True)
    _set_read_only(new)
    size = f"size={settings['disk']},nr_inodes=64,mode=1777"
    _mount("tmpfs", str(new / "tmp"), kind="tmpfs", flags=MS_NOSUID | MS_NODEV, data=size)
    os.chdir(new)
    _call("syscall", _architecture()["pivot_root"], b".", b".")
    _call("umount2", b".", DETACH)
    os.chdir("/tmp")  # noqa: S108 - the jail's own, that nobody else sees


def _show(place: Path, new: Path) -> None:
    """Make `place` visible below `new`, unless a place above it is already."""
    shown = new / place.relative_to("/")
    if not place.exists() or shown.exists():
        return
    shown.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink():
        shown.symlink_to(place.readlink())
    elif place.is_dir():
        shown.mkdir()
        _mount(str(place), str(shown), flags=MS_BIND | MS_REC)
    else:
        shown.touch()
        _mount(str(place), str(shown), flags=MS_BIND)


def _set_read_only(new: Path) -> None:
    class Attributes(ctypes.Structure):
        _fields_ = [(name, ctypes.c_uint64) for name in ("add", "remove", "propagation", "user")]

    wanted = Attributes(MS_RDONLY | MS_NOSUID | MS_NODEV, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(wanted))
    path = str(new).encode()
    _call("syscall", MOUNT_SETATTR, AT_FDCWD, path, AT_RECURSIVE, ctypes.byref(wanted), size)


def _mount(
    source: str, target: str, *, flags: int, kind: str | None = None, data: str | None = None
) -> None:
    texts = [None if text is None else text.encode() for text in (source, target, kind, data)]
    _call("mount", texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3])


def _call(name: str, *arguments: object) -> None:
    """Call a function of the C library; raises `OSError` as the kernel gave it."""
    library = ctypes.CDLL(None, use_errno=True)
    wide = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    if getattr(library, name)(*wide) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _architecture() -> dict[str, int]:
    machine = os.uname().machine
    if machine not in ARCHITECTURES:
        raise OSError(f"no jail is known for a machine of type {machine!r}")
    return ARCHITECTURES[machine]


def _refuse_calls() -> None:
    """Let the kernel answer the refused system calls, and any of a foreign kind, with EPERM."""
    numbers = _architecture()
    refused = [n for name, n in numbers.items() if name not in {"audit", "pivot_root"}]
    load, equal, at_least, answer = 0x20, 0x15, 0x35, 0x06
    left = len(refused) + 1
    rules = [(load, 0, 0, 4), (equal, 0, left + 2, numbers["audit"]), (load, 0, 0, 0)]
    rules.append((at_least, left, 0, 0x40000000))
    rules += [(equal, left - 1 - i, 0, number) for i, number in enumerate(refused)]
    rules += [(answer, 0, 0, 0x7FFF0000), (answer, 0, 0, 0x00050001)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *rule) for rule in rules))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("rules", ctypes.c_void_p)]

    program = Program(len(rules), ctypes.addressof(code))
    _call("prctl", SECCOMP, FILTER, ctypes.byref(program), 0, 0)


def _become(command: list[str], settings: Settings) -> NoReturn:
    """Take the limits on and turn into the interpreter that runs the draft."""
    _limit(settings)
    os.execve(command[0], command, {})  # noqa: S606 - a shell is the last thing wanted here


def _limit(settings: Settings) -> None:
    bounds = {
        resource.RLIMIT_CPU: settings["cpu_s"],
        resource.RLIMIT_AS: settings["memory"],
        resource.RLIMIT_FSIZE: settings["file"],
        resource.RLIMIT_NOFILE: settings["files"],
        resource.RLIMIT_NPROC: settings["processes"],
        resource.RLIMIT_CORE: 0,
    }
    for name, bound in bounds.items():
        highest = resource.getrlimit(name)[1]
        least = bound if highest == resource.RLIM_INFINITY else min(bound, highest)
        resource.setrlimit(name, (least, least))


# ------------------------------------------------------------------ inside, running the draft


class Bounded(io.StringIO):
    """Keeps the first characters written to it and drops the rest."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def write(self, text: str) -> int:
        """Keep what there is room for; says, as a file must, that all was written."""
        room = self.most - self.tell()
        if room > 0:
            super().write(text[:room])
        return len(text)


class Attempt:
    """A stretch of foreign code with a time limit: however it ends, its end is only noted.

    ``error`` is the name of what it raised, be that a `SystemExit`: to a draft's caller, one
    draft's failure is a result.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.error: str | None = None

    def __enter__(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, self.seconds)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.error = None if kind is None else kind.__name__
        return True


def perform(settings: Settings) -> None:
    """Run the task on standard input: one line of JSON for the program, then one for each call."""
    # From here on standard error leads nowhere too: what comes of it is the jail's own word.
    os.dup2(1, 2)
    task: Task = json.load(sys.stdin)
    signal.signal(signal.SIGALRM, _stop)
    module = types.ModuleType("draft" if task["calls"] else "__main__")
    sys.modules[module.__name__] = module
    code = "exec", task["program"]
    for kind, source in [code, *(("eval", call) for call in task["calls"])]:
        line = json.dumps(_perform(kind, source, module=module, settings=settings))
        os.write(RESULTS, line.encode() + b"\n")
    os._exit(0)


def _perform(
    kind: str, source: str, *, module: types.ModuleType, settings: Settings
) -> dict[str, str | None]:
    sys.stdout = sys.stderr = printed = Bounded(settings["text"])
    value, attempt = None, Attempt(settings["call_s"])
    with attempt:
        # This is what the sandbox is for.
        code = compile(source, "<draft>", kind, dont_inherit=True)
        value = _whole(repr(eval(code, module.__dict__))[: settings["text"]])  # noqa: S307
    return {"value": value, "error": attempt.error, "printed": _whole(printed.getvalue())}


def _whole(text: str) -> str:
    """`text` with question marks for halves of characters, which JSON readers refuse."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _stop(*_: object) -> None:
    raise Overtime


if __name__ == "__main__":
    step, given = sys.argv[1:]
    if step == "perform":
        perform(json.loads(given))
    try:
        enter(json.loads(given), sys.orig_argv[sys.orig_argv.index("-c") + 1])
    except OSError as failure:
        os.write(2, f"{failure.strerror or failure}\n".encode())
        os._exit(REFUSED)
