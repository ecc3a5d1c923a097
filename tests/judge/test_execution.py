"""Drafts that are run: what they may not do, and what is made of what they do."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest

from emafusion.answers.programs import Example
from emafusion.errors import ConfigError
from emafusion.judge.execution import RUNS, ExecutionJudge, Trace, agreement, gather, wanted
from emafusion.judge.sandbox import Limits, Result, Run, Sandbox
from emafusion.types import Completion, Draft, Request, Usage

QUICK = Limits(wall_s=3.0, call_s=0.3, cpu_s=1)


def isolated() -> bool:
    """Whether this machine lets a program be isolated."""
    try:
        asyncio.run(Sandbox(QUICK).run("pass"))
    except ConfigError:
        return False
    return True


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    if not isolated():
        pytest.skip("this machine permits no namespaces")
    return Sandbox(QUICK)


def request(text: str) -> Request:
    return Request(id="x", messages=({"role": "user", "content": text},))


def draft(program: str, *, fence: bool = True) -> Draft:
    text = f"```python\n{program}\n```" if fence else program
    done = Completion(text=text, usage=Usage())
    return Draft(model="a", completion=done, cost_usd=0.0, latency_s=0.0)


# ------------------------------------------------------------------ the sandbox


async def test_a_program_runs_and_is_called(sandbox: Sandbox) -> None:
    run = await sandbox.run(
        "def f(x):\n    print('hi')\n    return [x] * 2", ["f(2)", "f()", "g(1)"]
    )
    assert run.program.error is None
    assert [result.value for result in run.calls] == ["[2, 2]", None, None]
    assert [result.error for result in run.calls] == [None, "TypeError", "NameError"]
    assert run.calls[0].printed == "hi\n"


async def test_the_standard_library_is_there(sandbox: Sandbox) -> None:
    run = await sandbox.run("import collections, decimal, hashlib, heapq, math, random, re, zlib")
    assert run.program.error is None


@pytest.fixture
def listener() -> Iterator[tuple[int, list[object]]]:
    """A port of this machine, and who connected to it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        came: list[object] = []
        server.settimeout(0.05)
        done = threading.Event()

        def accept() -> None:
            while not done.is_set():
                try:
                    came.append(server.accept())
                except TimeoutError:
                    continue

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1], came
        done.set()
        thread.join()


async def test_there_is_no_network(sandbox: Sandbox, listener: tuple[int, list[object]]) -> None:
    port, came = listener
    run = await sandbox.run(f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 1)")
    assert run.program.error is not None
    assert came == []
    names = await sandbox.run("import socket\nprint(socket.if_nameindex())")
    assert names.program.printed in ("[(1, 'lo')]\n", "[]\n")


def lay_open(folder: Path) -> Path:
    """A file in `folder` that anybody who sees it may read, write and remove."""
    secret = folder / "secret"
    secret.write_text("sesame", encoding="utf-8")
    secret.chmod(0o666)
    folder.chmod(0o777)
    return secret


def inside(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


async def test_nothing_outside_can_be_read_or_written(sandbox: Sandbox, tmp_path: Path) -> None:
    secret = lay_open(tmp_path)
    calls = [
        f"open({str(secret)!r}).read()",
        f"open({str(secret)!r}, 'w').write('x')",
        f"open({str(tmp_path / 'new')!r}, 'w').write('x')",
        f"os.remove({str(secret)!r})",
        "open('/usr/planted', 'w').write('x')",
        "open('/planted', 'w').write('x')",
        f"open({__file__!r}).read()",
        "open('/proc/self/environ').read()",
        "open('/etc/passwd').read()",
    ]
    run = await sandbox.run("import os", calls)
    assert [result.value for result in run.calls] == [None] * len(calls)
    assert secret.read_text(encoding="utf-8") == "sesame"
    assert inside(tmp_path) == ["secret"]
    assert "planted" not in inside(Path("/usr")) + inside(Path("/"))


async def test_its_own_folder_is_writable_small_and_gone_afterwards(sandbox: Sandbox) -> None:
    fill = "[open(f'{n}', 'wb').write(bytes(2**19)) for n in range(100)]"
    grow = "open('big', 'wb').write(bytes(2**21))"
    run = await sandbox.run("open('a', 'w').write('kept')", ["open('a').read()", grow, fill])
    assert [result.value for result in run.calls] == ["'kept'", None, None]
    assert run.calls[2].error == "OSError"
    again = await sandbox.run("import os", ["os.listdir()"])
    assert again.calls[0].value == "[]"


async def test_the_environment_is_empty(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sesame")
    peek = "[open(f'/proc/{p}/environ').read() for p in (os.getppid(), 'self')]"
    run = await sandbox.run("import os", ["sorted(os.environ)", peek])
    assert run.calls[0].value in ("['LC_CTYPE']", "[]")
    assert run.calls[1].value is None


@pytest.mark.parametrize(
    "program",
    [
        "import os\nwhile True: os.fork()",
        "import threading\nthreading.Thread(target=print).start()",
        "import subprocess\nsubprocess.run(['/usr/bin/env'])",
        "x = bytearray(10 * 2**30)",
        "x = 'x' * 10 * 2**30",
        "def f(): return f()\nf()",
        "x = []\nwhile True: x.append(bytes(2**20))",
        "import ctypes\nassert ctypes.CDLL(None).shmget(0, ctypes.c_size_t(2**20), 0o1666) >= 0",
        "import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0",
        "import ctypes\nassert ctypes.CDLL(None).umount2(b'/tmp', 2) == 0",
        "import ctypes\nassert ctypes.CDLL(None).mount(b'x', b'/tmp', b'tmpfs', 0, None) == 0",
        "import ctypes\nassert ctypes.CDLL(None).chroot(b'/tmp') == 0",
        "import ctypes\nassert ctypes.CDLL(None).setuid(0) == 0 and __import__('os').getuid() == 0",
        "import ctypes, os\nassert ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == 0",
        "import ctypes\nassert ctypes.CDLL(None).syscall(425, 8, bytes(120)) >= 0",
        "import os\nos.posix_spawn('/bin/sh', ['sh'], {})",
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
        "import os\nos.mkfifo('/dev/x')",
        "x = 10 ** 10 ** 10",
    ],
)
async def test_what_is_too_much_fails(sandbox: Sandbox, program: str) -> None:
    run = await sandbox.run(program, ["1"])
    assert run.program.error is not None
    assert run.program.value is None


@pytest.mark.parametrize(
    "program",
    [
        "while True: pass",
        "while True:\n  try:\n    while True: pass\n  except BaseException: pass",
        "import os, time\nos.setsid()\nsignal = time.sleep(600)",
        "import signal, time\nsignal.signal(signal.SIGALRM, lambda *_: 0)\ntime.sleep(600)",
        "open('/dev/stdin').read() if False else __import__('threading').Event().wait()",
    ],
)
async def test_what_never_ends_is_ended(sandbox: Sandbox, program: str) -> None:
    async with asyncio.timeout(60):
        run = await sandbox.run(program)
    assert run.program.error in ("Overtime", "Killed")


async def test_one_slow_call_does_not_take_the_others(sandbox: Sandbox) -> None:
    run = await sandbox.run("def f(x):\n  while x: pass\n  return x", ["f(1)", "f(0)"])
    assert [result.error for result in run.calls] == ["Overtime", None]


@pytest.mark.parametrize(
    "program",
    [
        "for _ in range(100_000): print('x' * 10_000)",
        "import os\nfor _ in range(1000): os.write(1, bytes(1_000_000))",
        "import os\nfor _ in range(1000): os.write(2, bytes(1_000_000))",
        "import os\nfor _ in range(1000): os.write(3, bytes(1_000_000))",
        "import sys\nsys.stdin = None\nraise ValueError('x' * 10_000_000)",
    ],
)
async def test_a_flood_of_output_is_cut(sandbox: Sandbox, program: str) -> None:
    run = await sandbox.run(program, ["'x' * 10_000_000"])
    assert len(run.program.printed) <= QUICK.text_chars
    assert len(run.calls[0].value or "") <= QUICK.text_chars


async def test_nobody_else_can_be_signalled(sandbox: Sandbox) -> None:
    kill = "[os.kill(pid, 9) for pid in ({}, -1)]"
    for pid in (os.getpid(), os.getppid()):
        run = await sandbox.run("import os", [kill.format(pid)])
        assert run.calls[0].value is None
    keeper = await sandbox.run("import os", ["os.kill(os.getppid(), 9)", "1"])
    assert keeper.calls[1].value == "1"


@pytest.mark.parametrize("code", [0, 1, 97])
async def test_a_program_that_leaves_is_one_that_was_killed(sandbox: Sandbox, code: int) -> None:
    run = await sandbox.run(f"import os\nos._exit({code})", ["1"])
    assert run.program.error == "Killed"
    assert run.calls[0].error == "Killed"


async def test_results_that_are_no_results_end_the_list(sandbox: Sandbox) -> None:
    run = await sandbox.run("import os\nos.write(3, b'{\"value\": 1}\\n' + b'[' * 9000)", ["1"])
    assert run.program.error == "Killed"


async def test_half_characters_do_not_spoil_the_report(sandbox: Sandbox) -> None:
    run = await sandbox.run("print('\\ud800')", ["'é' + chr(0xd800)"])
    assert run.program.printed == "?\n"
    assert run.calls[0].value == "'é\\ud800'"


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
        "socket.create_connection(('1.1.1.1', 53), 0.2)",
        "socket.getaddrinfo('example.com', 80)",
        "[s.connect('/run/dbus/system_bus_socket') for s in [socket.socket(socket.AF_UNIX)]]",
        "socket.socketpair()[0].sendmsg([b'x'], [], 0, ('127.0.0.1', 9))",
    ],
)
async def test_a_socket_leads_nowhere(sandbox: Sandbox, attempt: str) -> None:
    run = await sandbox.run("import socket", [attempt])
    assert run.calls[0].value is None
    assert run.calls[0].error is not None


async def test_one_run_leaves_nothing_to_the_next(sandbox: Sandbox) -> None:
    """Not in files, and not in abstract sockets, queues or shared names."""
    plant = (
        "import socket\nopen('/tmp/left', 'w').write('x')\n"
        "s = socket.socket(socket.AF_UNIX)\ns.bind('\\0left')\ns.listen()"
    )
    find = ["open('/tmp/left')", "socket.socket(socket.AF_UNIX).connect('\\0left')"]
    await sandbox.run(plant)
    run = await sandbox.run("import socket", find)
    assert [result.error for result in run.calls] == [
        "FileNotFoundError",
        "ConnectionRefusedError",
    ]


def running(marker: str) -> list[str]:
    """The processes whose command line holds `marker`."""
    lines = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(place.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
    return [line for line in lines if marker in line]


async def until(true: Callable[[], bool]) -> None:
    """Wait for what takes a busy machine seconds at most."""
    for _ in range(500):
        if true():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never came about")


async def test_a_cancelled_run_leaves_no_process(sandbox: Sandbox) -> None:
    marked = Sandbox(Limits(wall_s=30.0, call_s=29.0, text_chars=3917))
    task = asyncio.create_task(marked.run("import time\ntime.sleep(30)"))
    await until(lambda: len(running('"text": 3917')) > 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.05)
    assert running('"text": 3917') == []


async def test_a_killed_server_leaves_no_process(sandbox: Sandbox) -> None:
    code = (
        "import asyncio\n"
        "from emafusion.judge.sandbox import Limits, Sandbox\n"
        "long = Limits(wall_s=30.0, call_s=29.0, text_chars=3918)\n"
        "asyncio.run(Sandbox(long).run('import time\\ntime.sleep(30)'))\n"
    )
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env={"PYTHONPATH": os.pathsep.join(sys.path)}
    )
    await until(lambda: len(running('"text": 3918')) > 2)
    server.kill()
    await server.wait()
    await until(lambda: running('"text": 3918') == [])


def test_a_program_runs_without_an_event_loop(sandbox: Sandbox) -> None:
    assert sandbox.run_sync("x = 20", ["x + 1"]).calls[0].value == "21"


class Slow:
    """A sandbox that takes its time, and counts the programs that run together."""

    def __init__(self) -> None:
        self.running = self.most = 0

    async def run(self, program: str, calls: Sequence[str]) -> Run:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0.01)
        self.running -= 1
        return Run(program=Result(), calls=tuple(Result(value="1") for _ in calls))


def test_a_judge_serves_one_event_loop_after_another() -> None:
    slow = Slow()
    judge = ExecutionJudge(cast(Sandbox, slow))
    drafts = [draft(f"def f(x):\n    return {k} * x") for k in range(5)]
    for number in range(2):
        asked = Request(id=str(number), messages=request("Write f(x) in Python.").messages)
        assert None not in asyncio.run(judge.score(asked, drafts))
    assert slow.most == judge.at_once == 2


async def test_a_program_runs_within_anothers_event_loop(sandbox: Sandbox) -> None:
    assert sandbox.run_sync("x = 20", ["x + 1"]).calls[0].value == "21"
    sandbox.check()


def test_limits_that_leave_no_room_are_told(sandbox: Sandbox) -> None:
    with pytest.raises(ConfigError, match="gave no result"):
        Sandbox(Limits(wall_s=0.001)).check()


async def test_without_isolation_limits_remain() -> None:
    """What the caller asked for: no namespaces, but bounds and an empty environment."""
    open_to_all = Sandbox(QUICK, network="inherit")
    run = await open_to_all.run("import os", ["bytearray(2**34)", "sorted(os.environ)", "1 + 1"])
    assert run.calls[0].error == "MemoryError"
    assert run.calls[1].value in ("['LC_CTYPE']", "[]")
    assert run.calls[2].value == "2"


async def test_a_machine_that_permits_no_isolation_is_refused() -> None:
    """A process in an empty user namespace can make none of its own: there we try."""
    code = (
        "import asyncio, ctypes, sys\n"
        "from emafusion.errors import ConfigError\n"
        "from emafusion.judge.sandbox import Sandbox\n"
        "if ctypes.CDLL(None).unshare(0x10000000): sys.exit(7)\n"
        "try: asyncio.run(Sandbox().run('1'))\n"
        "except ConfigError as refused: print(refused)\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code),
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    said, _ = await process.communicate()
    if process.returncode == 7:
        pytest.skip("this machine permits no namespaces")
    assert b"network='inherit'" in said
    assert b"unshare: Operation not permitted" in said


# ------------------------------------------------------------------ the judge


PROMPT = "Write double(x) in Python. For example, double(2) returns 4."
RIGHT = "def double(x):\n    return 2 * x"
ALSO_RIGHT = "def double(x):\n    return x + x"
SQUARE = "def double(x):\n    return x ** 2"
WRONG = "def double(x):\n    return x + 1"
BROKEN = "def double(x:\n    return"


async def scores(sandbox: Sandbox, prompt: str, found: Sequence[Draft]) -> list[float]:
    given = await ExecutionJudge(sandbox).score(request(prompt), found)
    assert all(score is not None and 0.0 <= score <= 1.0 for score in given)
    return [score for score in given if score is not None]


async def test_a_right_program_outranks_a_wrong_and_that_a_broken(sandbox: Sandbox) -> None:
    right, wrong, broken = await scores(
        sandbox, PROMPT, [draft(RIGHT), draft(WRONG), draft(BROKEN)]
    )
    assert right > 0.5 > wrong > broken == 0.0


async def test_agreement_on_another_drafts_example_tells_right_from_lucky(sandbox: Sandbox) -> None:
    tested = ALSO_RIGHT + "\n\nassert double(5) == 10"
    lucky, right, other = await scores(
        sandbox, PROMPT, [draft(SQUARE), draft(RIGHT), draft(tested)]
    )
    assert lucky < right
    assert lucky < other


async def test_a_program_that_fails_its_own_example_is_worth_less(sandbox: Sandbox) -> None:
    kept = 'def f(x):\n    """\n    >>> f(2)\n    3\n    """\n    return x + 1'
    failed = kept.replace("    3\n", "    4\n")
    prompt = "Write f in Python."
    assert (await scores(sandbox, prompt, [draft(kept)])) == [1.0]
    assert (await scores(sandbox, prompt, [draft(failed)])) == [RUNS]


async def test_a_lone_program_without_examples_is_neither(sandbox: Sandbox) -> None:
    assert await scores(sandbox, "Write f in Python.", [draft(RIGHT)]) == [0.55]
    assert (await scores(sandbox, "Write f.", [draft(RIGHT + "\nraise OSError")]))[0] < 0.5


async def test_without_examples_programs_are_compared_on_plain_values(sandbox: Sandbox) -> None:
    found = [draft(RIGHT), draft(WRONG), draft(ALSO_RIGHT), draft("def other(x): return 2 * x")]
    right, wrong, also, other = await scores(sandbox, "Write it.", found)
    assert right == also > wrong > other


async def test_scripts_agree_by_what_they_print(sandbox: Sandbox) -> None:
    found = [draft(f"x = {n}\nprint(x * 2)") for n in (2, 2, 3)] + [draft("x = 4/2\nprint(4)")]
    given = await scores(sandbox, "Print twice two.", found)
    assert given[0] == given[1] == given[3] > given[2]


async def test_what_is_no_program_gets_no_score(sandbox: Sandbox) -> None:
    found = [draft("It is 4.", fence=False), draft(RIGHT)]
    given = await ExecutionJudge(sandbox).score(request(PROMPT), found)
    assert given == [None, 1.0]
    assert await ExecutionJudge(sandbox).score(request(PROMPT), []) == []


async def test_a_hostile_draft_only_hurts_itself(sandbox: Sandbox) -> None:
    evil = RIGHT + "\nimport os\nos._exit(0)"
    bad, good = await scores(sandbox, PROMPT, [draft(evil), draft(RIGHT)])
    assert bad < 0.1
    assert good > 0.5


async def test_examples_never_run_what_a_prompt_quotes(sandbox: Sandbox, tmp_path: Path) -> None:
    place = str(tmp_path / "planted")
    prompt = (
        f"double(open({place!r}, 'w')) returns 4\nassert double(__import__('os').getpid()) == 1"
    )
    assert await scores(sandbox, prompt, [draft(RIGHT)]) == [0.55]
    assert inside(tmp_path) == []


class Counting(Sandbox):
    """Counts runs, and how many there were at a time."""

    def __init__(self) -> None:
        super().__init__(QUICK)
        self.runs = self.now = self.most = 0

    async def run(self, program: str, calls: Sequence[str] = ()) -> Run:
        self.runs, self.now = self.runs + 1, self.now + 1
        self.most = max(self.most, self.now)
        try:
            return await super().run(program, calls)
        finally:
            self.now -= 1


async def test_equal_programs_run_once_and_few_at_a_time(sandbox: Sandbox) -> None:
    counting = Counting()
    found = [draft(RIGHT), draft(RIGHT), draft(WRONG), draft(SQUARE)]
    await ExecutionJudge(counting).score(request(PROMPT), found)
    assert counting.runs == 3
    assert counting.most == 2


async def test_a_program_makes_each_call_of_a_request_once(sandbox: Sandbox) -> None:
    counting = Counting()
    judge = ExecutionJudge(counting)
    asked = request(PROMPT)
    first = await judge.score(asked, [draft(RIGHT)])
    assert await judge.score(asked, [draft(RIGHT)]) == first
    assert counting.runs == 1
    tested = draft(WRONG + "\n\nassert double(5) == 10")
    again = await judge.score(asked, [draft(RIGHT), tested])
    assert counting.runs == 3
    assert again == await ExecutionJudge(sandbox).score(asked, [draft(RIGHT), tested])
    await judge.score(Request(id="y", messages=asked.messages), [draft(RIGHT)])
    assert counting.runs == 4


async def test_few_programs_run_at_a_time_over_all_requests(sandbox: Sandbox) -> None:
    counting = Counting()
    judge = ExecutionJudge(counting)
    asked = [Request(id=str(n), messages=request(PROMPT).messages) for n in range(4)]
    await asyncio.gather(*(judge.score(one, [draft(RIGHT)]) for one in asked))
    assert (counting.runs, counting.most) == (4, 2)


async def test_reasons_are_told_in_words_of_our_own(sandbox: Sandbox) -> None:
    named = RIGHT + "\nraise type('\\x1b[31mapproved', (Exception,), {})"
    found = [draft(RIGHT), draft(WRONG), draft(BROKEN), draft(named), draft(RIGHT + "\n1/0")]
    told = await ExecutionJudge(sandbox).examine("x", gather(PROMPT, [d.text for d in found]))
    reasons = [one.reason for one in told if one is not None]
    assert reasons[0].startswith("meets 1 of 1 examples, dual agreement")
    assert reasons[1].startswith("meets 0 of 1 examples")
    assert reasons[2] == "no valid Python"
    assert reasons[3].startswith("ends in an error, meets 1 of 1")
    assert reasons[4].startswith("ends in ZeroDivisionError")


SNIPPET = "def double(x):\n    return x"


@pytest.mark.parametrize(
    ("prompt", "asks"),
    [
        (PROMPT, True),
        ("Write a Python program that doubles.", True),
        ("Implement `double` in Python: it returns twice its argument.", True),
        ("Satisfy this.\nassert double(1) == 2", True),
        (f"{SNIPPET}\nassert double(2) == ??\nWhat is the result?", False),
        (f"{SNIPPET}\nWhat does double(3) return?", False),
        ("Which is right for double?\nA. one\nB. two\n", False),
        ("Let g(2) = 4 and g(3) = 9. Calculate the value of g(4).", False),
        ("What is the double of 21?", False),
        ("What is the capital of Australia?", False),
    ],
)
def test_only_a_prompt_that_asks_for_a_program_has_drafts_run(prompt: str, asks: bool) -> None:
    assert wanted(prompt, [None, RIGHT]) is asks
    assert not wanted(prompt, [None])


async def test_a_refused_sandbox_is_one_plain_error() -> None:
    class Refusing(Sandbox):
        async def run(self, program: str, calls: Sequence[str] = ()) -> Run:
            raise ConfigError("no")

    judge = ExecutionJudge(Refusing())
    with pytest.raises(ConfigError, match="no"):
        await judge.score(request(PROMPT), [draft(RIGHT), draft(WRONG)])


def test_dual_agreement_is_the_root_of_drafts_times_tests() -> None:
    tests = [Example(call="f(1)", expected="1"), Example(call="f(2)", expected="4")]
    good = Trace(outputs={"f(1)": "=1", "f(2)": "=4"})
    half = Trace(outputs={"f(1)": "=1", "f(2)": "=2"})
    given = agreement([good, good, half, Trace(error="OSError"), None], tests)
    assert given == pytest.approx([0.5**0.5, 0.5**0.5, (0.25 * 0.5) ** 0.5, 0.0, None])
    assert agreement([good], tests) == [None]
    assert agreement([Trace(), Trace()], tests) == [None, None]
