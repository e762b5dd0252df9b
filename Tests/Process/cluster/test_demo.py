"""`atlas-db demo`: commands as a script, faults, and that everything ends with it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.cluster import until
from support.server import binary

PATIENCE_SECONDS = 60.0
# Milliseconds that the smallest distance of the tests' regions adds.
DISTANCE_MS = 75
TWO_REGIONS = ("--regions", "us-east,eu-west", "--nodes-per-region", "1")


class Demo:
    """One demo, with temporary files in a directory of its own."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.temporary = directory / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self.output = ""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ATLAS_")}
        self.process = subprocess.Popen(
            [str(binary()), "demo", *arguments],
            cwd=directory,
            env={**environment, "TMPDIR": str(self.temporary), "ATLAS_LOGGING_LEVEL": "nonsense"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def read_until(self, *expected: str) -> str:
        """The lines up to the one that begins with one of these."""
        assert self.process.stdout is not None
        read = ""
        while line := self.process.stdout.readline():
            read += line
            self.output += line
            if line.startswith(expected):
                return read
        raise AssertionError(f"the output ended without {expected}:\n{self.output}")

    def ready(self) -> Demo:
        self.read_until("help lists")
        return self

    def send(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def ask(self, line: str) -> str:
        """What a command answers."""
        self.send(line)
        # A command that cannot be says when the one before has been answered.
        self.send("end-of-answer")
        read = self.read_until('error: "end-of-answer"').splitlines(keepends=True)
        first = next(number for number, text in enumerate(read) if text.endswith(f"> {line}\n"))
        return "".join(read[first + 1 : -2])

    def status(self) -> str:
        return self.ask("status")

    def nodes(self) -> list[int]:
        """The processes of the nodes."""
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for listed in children for pid in listed.read_text().split()]

    def wait(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


def is_alive(pid: int) -> bool:
    """Whether a process runs or is stopped; one that nobody has waited for has ended all the same."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def all_end(pids: list[int]) -> None:
    until(lambda: not any(is_alive(pid) for pid in pids), "nodes are left behind", 10)


def milliseconds(answer: str) -> float:
    """How long an operation took, as its answer says."""
    found = re.search(r"([\d.]+) (µs|ms|s)\b", answer)
    assert found, answer
    return float(found[1]) * {"µs": 0.001, "ms": 1, "s": 1000}[found[2]]


@pytest.fixture
def start_demo(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    demos: list[Demo] = []

    def make(*arguments: str) -> Demo:
        demos.append(Demo(tmp_path, *arguments))
        return demos[-1]

    try:
        yield make
    finally:
        for demo in demos:
            demo.kill()


@pytest.fixture
def demo(start_demo: Callable[..., Demo]) -> Demo:
    return start_demo(*TWO_REGIONS).ready()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One for the tests that leave it as well as they found it."""
    demo = Demo(tmp_path_factory.mktemp("demo"), *TWO_REGIONS)
    try:
        yield demo.ready()
    finally:
        demo.kill()


@pytest.fixture
def healthy(running: Demo) -> Demo:
    running.ask("use us-east")
    return running


def test_a_script_is_answered_and_ends_with_its_input(start_demo: Callable[..., Demo]) -> None:
    demo = start_demo(*TWO_REGIONS)
    output, _ = demo.process.communicate(
        "put a 1\n\n# a comment\nget a consistent\nuse eu\nget a consistent\nget missing\ndelete a\ndelete a\n"
        "scan user/ 2\nnonsense\nkill mars\nwatch\nstatus",
        timeout=PATIENCE_SECONDS,
    )
    print(output)
    assert demo.process.returncode == 0
    for line in (
        "us-east> put a 1\nwritten\n  version ",
        "us-east> get a consistent\n1\n  version ",
        "eu-west> get a consistent\n1\n  version ",
        "eu-west> get missing\nmissing is absent\n  ",
        "eu-west> delete a\ndeleted\n",
        "eu-west> delete a\nthere was nothing to delete\n",
        "user/002  ",
        'eu-west> nonsense\nerror: "nonsense" is no command; help lists them\n',
        'eu-west> kill mars\nerror: "mars" is no node; there are us-east-1, eu-west-1\n',
        "eu-west> watch\nerror: watch needs a terminal; status shows the same once\n",
        "Atlas DB demo: 2 of 2 nodes in 2 regions",
    ):
        assert line in output, line
    assert list(demo.temporary.iterdir()) == []


def test_distances_are_real(healthy: Demo) -> None:
    demo = healthy
    demo.ask("move cart/001 us-east")

    def latency() -> float:
        return milliseconds(demo.ask("put cart/001 x").split(", ", 1)[1])

    # Whatever else the machine does: one of them is quick.
    until(lambda: latency() < DISTANCE_MS, "no write in the owner's region is faster than one from afar", 20)
    demo.ask("use eu-west")
    assert min(latency() for _ in range(3)) >= DISTANCE_MS
    assert "150 ms apart" in demo.ask("distance us eu 150")
    assert latency() >= 150
    demo.ask(f"distance us eu {DISTANCE_MS}")


def test_owners_follow_the_workload(healthy: Demo) -> None:
    demo = healthy
    for region, owner in (("eu-west", "eu-west-1"), ("us-east", "us-east-1")):
        assert demo.ask(f"load {region}") == f"the workload is in {region}\n"

        def all_there() -> bool:
            tablets = demo.status().partition("TABLET FROM")[2].partition("\n\n")[0].splitlines()[1:]
            return len(tablets) >= 4 and all(line.split()[2] == owner for line in tablets)

        until(all_there, f"the tablets do not come to {region}:\n{demo.output}", 30)

    def goes_well() -> bool:
        loaded = next(line for line in demo.status().splitlines() if line.startswith("* us-east"))
        return bool(re.search(r" \d+/s +0 ", loaded))

    until(goes_well, "operations fail", 30)
    assert demo.ask("load off") == "the workload is off\n"
    assert "workload off" in demo.status()


def test_a_node_is_killed_or_frozen_and_comes_back(demo: Demo) -> None:
    demo.ask("move cart/001 us-east")
    victim = set(demo.nodes())
    assert demo.ask("kill us-east-1") == "us-east-1 killed\n"
    all_end([pid for pid in victim if pid not in demo.nodes()])
    assert demo.ask("kill us-east-1") == "error: us-east-1 does not run\n"
    assert "1 KILLED" in demo.status()
    assert demo.ask("get cart/001").startswith("error: ")
    assert demo.ask("restart us-east-1") == "us-east-1 started\n"
    until(lambda: not demo.ask("get cart/001 consistent").startswith("error: "), "it does not come back")
    # One that runs is stopped in good order.
    assert demo.ask("restart us-east-1") == "us-east-1 started\n"
    assert len(demo.nodes()) == 2
    assert demo.ask("stop eu-west-1") == "eu-west-1 stopped\n"
    assert "1 STOPPED" in demo.status()
    assert demo.ask("continue eu-west-1") == "eu-west-1 goes on\n"
    assert demo.ask("continue eu-west-1") == "error: eu-west-1 is not stopped\n"
    # One that is frozen ends with the demo, too.
    assert demo.ask("stop eu-west-1") == "eu-west-1 stopped\n"
    demo.send("quit")
    assert demo.wait() == 0


def test_a_region_is_cut_off_and_healed(demo: Demo) -> None:
    demo.ask("move cart/001 us-east")
    assert demo.ask("cut eu") == "eu-west cut off\n"
    assert "CUT OFF" in demo.status()
    demo.ask("use eu-west")
    # It reads what it has, and reaches no owner elsewhere.
    assert "from a copy nearby" in demo.ask("get cart/001 local")
    assert demo.ask("put cart/001 x").startswith("error: ")
    assert demo.ask("heal") == "all regions reach each other\n"
    until(lambda: demo.ask("put cart/001 x").startswith("written"), "the region does not come back")


def test_tablets_are_split_and_moved(healthy: Demo) -> None:
    demo = healthy
    assert demo.ask("split user/050").startswith("tablet cut in front of user/050: ")
    assert demo.ask("move user/050 eu-west") == "the tablet of user/050 is owned by eu-west-1\n"
    until(lambda: bool(re.search(r"user/050 +\(last\) +eu-west-1", demo.status())), "the screen does not show it", 10)


def test_the_live_screen_obeys_keys(tmp_path: Path) -> None:
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    before = termios.tcgetattr(terminal)
    process = subprocess.Popen([str(binary()), "demo", *TWO_REGIONS], stdin=terminal, stdout=terminal, cwd=tmp_path)
    shown = ""

    def shows(*expected: str) -> bool:
        nonlocal shown
        while select.select([main], [], [], 0)[0]:
            shown += os.read(main, 65536).decode(errors="replace")
        return all(text in shown for text in expected)

    def type_and_see(keys: str, *expected: str) -> None:
        nonlocal shown
        shown = ""
        os.write(main, keys.encode())
        until(lambda: shows(*expected), f"{keys!r} does not lead to {expected}")

    try:
        until(lambda: shows("us-east> "), "no prompt")
        type_and_see("watch\n", "q back", "workload off")
        type_and_see("2", "workload in eu-west")
        # An arrow means nothing, and keys that come together all count.
        type_and_see("\x1b[A0c", "workload off", "CUT OFF")
        type_and_see("h", "all regions reach each other")
        type_and_see("k", "KILLED")
        type_and_see("r", "started", "2 of 2 nodes")
        type_and_see("q", "us-east> ")
        assert termios.tcgetattr(terminal) == before
        # From the live screen, too, Ctrl-C ends everything and leaves the terminal as it was.
        type_and_see("watch\n", "q back")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 0
        assert termios.tcgetattr(terminal) == before
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(main)
        os.close(terminal)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_everything(start_demo: Callable[..., Demo], number: signal.Signals) -> None:
    demo = start_demo(*TWO_REGIONS).ready()
    nodes = demo.nodes()
    assert len(nodes) == 2
    demo.process.send_signal(number)
    assert demo.wait() == 0
    assert not any(is_alive(pid) for pid in nodes)
    assert list(demo.temporary.iterdir()) == []


def test_a_signal_during_the_start_ends_everything(start_demo: Callable[..., Demo]) -> None:
    demo = start_demo()
    until(lambda: len(demo.nodes()) >= 3, "no node is started")
    demo.process.send_signal(signal.SIGTERM)
    assert demo.wait() == 0
    assert list(demo.temporary.iterdir()) == []


def test_sigkill_leaves_no_node_behind(demo: Demo, start_demo: Callable[..., Demo]) -> None:
    demo.ask("stop eu-west-1")
    nodes = demo.nodes()
    assert len(nodes) == 2
    # By now threads that were only needed at the start have gone.
    time.sleep(6)
    assert demo.nodes() == nodes
    demo.process.kill()
    demo.wait()
    all_end(nodes)
    # Its files go when the next one begins.
    (left,) = demo.temporary.iterdir()
    start_demo(*TWO_REGIONS).ready()
    assert not left.exists()
    assert len(list(demo.temporary.iterdir())) == 1


def test_data_stays_where_it_was_asked_for(start_demo: Callable[..., Demo], tmp_path: Path) -> None:
    demo = start_demo(*TWO_REGIONS, "--data", "world").ready()
    demo.ask("put mine 1")
    demo.send("quit")
    assert demo.wait() == 0
    again = start_demo(*TWO_REGIONS, "--data", "world").ready()
    assert "the data that was there" in again.output
    assert again.ask("get mine consistent").startswith("1\n")
    second = start_demo(*TWO_REGIONS, "--data", "world")
    assert second.wait() == 3
    assert second.process.stdout is not None
    assert "another demo runs in" in second.process.stdout.read()
    other = start_demo("--data", "world")
    assert other.wait() == 2
    assert other.process.stdout is not None
    assert "a demo of other nodes" in other.process.stdout.read()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert start_demo(*TWO_REGIONS, "--data", "full").wait() == 2


def test_output_that_nobody_reads_ends_it(demo: Demo) -> None:
    nodes = demo.nodes()
    assert demo.process.stdout is not None
    demo.process.stdout.close()
    demo.send("help")
    assert demo.wait() == 0
    all_end(nodes)
    assert list(demo.temporary.iterdir()) == []
