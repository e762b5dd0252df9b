"""`atlas-db relay`: its commands, and what they do to connections."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from support.relay import Relay, Target, receive

USAGE, UNAVAILABLE = 2, 3
StartRelay = Callable[..., Relay]


@pytest.fixture
def start_relay() -> Iterator[StartRelay]:
    relays: list[Relay] = []

    def start(*arguments: str) -> Relay:
        relays.append(Relay(*arguments))
        return relays[-1]

    try:
        yield start
    finally:
        for relay in relays:
            relay.kill()


@pytest.fixture
def target() -> Iterator[Target]:
    target = Target()
    try:
        yield target
    finally:
        target.close()


def link(name: str, target: Target) -> str:
    return f"--link={name}=127.0.0.1:0>{target.address}"


def expect_reset(end: socket.socket) -> None:
    with pytest.raises(ConnectionResetError):
        end.recv(1)


def test_bytes_pass_with_the_delay_of_the_command_line(start_relay: StartRelay, target: Target) -> None:
    relay = start_relay(link("a-b", target), link("b-a", target), "--delay-ms", "40", "--jitter-ms", "2.5")
    ports = relay.ports()
    assert list(ports) == ["a-b", "b-a"]
    with target.connection(ports["a-b"]) as (client, end):
        began = time.monotonic()
        client.sendall(b"question")
        assert receive(end, 8) == b"question"
        end.sendall(b"answer")
        assert receive(client, 6) == b"answer"
        assert time.monotonic() - began >= 0.080
        stats = relay.stats("a-b")
        assert stats["connections_opened"] == stats["connections_open"] == 1
        assert stats["forward"] == {
            "state": "open",
            "delay_ms": 40,
            "jitter_ms": 2.5,
            "rate": None,
            "bytes_forwarded": 8,
            "bytes_dropped": 0,
            "bytes_queued": 0,
        }
        assert stats["backward"]["bytes_forwarded"] == 6
    assert relay.stats("b-a")["connections_opened"] == 0


def test_set_changes_what_it_names_and_nothing_else(start_relay: StartRelay, target: Target) -> None:
    relay = start_relay(link("a", target))
    port = relay.ports()["a"]
    answer = relay.ask("set", link="a", direction="forward", delay_ms=5.5, jitter_ms=1, rate=1000000)
    assert answer == {"ok": True, "links": ["a"]}
    relay.ask("set", link="a", direction="forward", delay_ms=50)
    stats = relay.stats("a")
    assert [stats["forward"][name] for name in ("delay_ms", "jitter_ms", "rate")] == [50, 1, 1000000]
    assert [stats["backward"][name] for name in ("delay_ms", "jitter_ms", "rate")] == [0, 0, None]
    with target.connection(port) as (client, end):
        began = time.monotonic()
        client.sendall(b"x")
        receive(end, 1)
        assert time.monotonic() - began >= 0.050
    relay.ask("set", link="a", rate=None)
    assert relay.stats("a")["forward"]["rate"] is None


def test_stop_and_open(start_relay: StartRelay, target: Target) -> None:
    relay = start_relay(link("a", target))
    with target.connection(relay.ports()["a"]) as (client, end):
        assert relay.ask("stop", link="a", direction="forward")["ok"]
        client.sendall(b"held")
        end.sendall(b"not held")
        assert receive(client, 8) == b"not held"
        end.settimeout(0.1)
        with pytest.raises(TimeoutError):
            end.recv(1)
        end.settimeout(20)
        assert relay.ask("open", link="a")["ok"]
        assert receive(end, 4) == b"held"


def test_cut_and_heal(start_relay: StartRelay, target: Target) -> None:
    relay = start_relay(link("a", target))
    port = relay.ports()["a"]
    with target.connection(port) as (client, end):
        assert relay.ask("cut", link="a")["ok"]
        expect_reset(client)
        expect_reset(end)
    with pytest.raises(ConnectionResetError):
        with socket.create_connection(("127.0.0.1", port), 20) as client:
            client.recv(1)
    assert relay.stats("a")["cut"] is True
    assert relay.ask("heal", link="a")["ok"]
    with target.connection(port) as (client, end):
        client.sendall(b"again")
        assert receive(end, 5) == b"again"


def test_drop_and_heal(start_relay: StartRelay, target: Target) -> None:
    relay = start_relay(link("a", target))
    with target.connection(relay.ports()["a"]) as (client, end):
        assert relay.ask("drop", link="a", direction="forward")["ok"]
        client.sendall(b"lost")
        end.sendall(b"kept")
        assert receive(client, 4) == b"kept"
        end_of_patience = time.monotonic() + 20
        while relay.stats("a")["forward"]["bytes_dropped"] < 4 and time.monotonic() < end_of_patience:
            time.sleep(0.01)
        assert relay.stats("a")["forward"]["bytes_dropped"] == 4
        assert relay.ask("heal", link="a")["ok"]
        expect_reset(client)
        expect_reset(end)


def test_several_links_at_once(start_relay: StartRelay, target: Target) -> None:
    relay = start_relay(*(link(name, target) for name in ("us-east", "us-west", "eu-west")))
    relay.ports()
    assert relay.ask("stop", link="us-*")["links"] == ["us-east", "us-west"]
    assert relay.ask("set", links=["*-west", "us-east"], delay_ms=1)["links"] == ["us-east", "us-west", "eu-west"]
    assert relay.stats("eu-west")["forward"]["state"] == "open"
    assert relay.stats("us-west")["forward"]["state"] == "stopped"
    # A name that means nothing spoils all of it.
    assert "nowhere" in relay.ask("cut", links=["us-east", "nowhere"])["error"]
    assert relay.stats("us-east")["cut"] is False


def test_links_come_and_go(start_relay: StartRelay, target: Target) -> None:
    relay = start_relay()
    assert relay.ports() == {}
    added = relay.ask("add", link="a", listen="127.0.0.1:0", target=target.address, delay_ms=1)
    assert added["ok"] and added["links"][0]["target"] == target.address
    port = added["links"][0]["port"]
    with target.connection(port) as (client, end):
        client.sendall(b"x")
        receive(end, 1)
        assert relay.ask("remove", link="a")["ok"]
        expect_reset(client)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 20)
    assert relay.ask("stats")["links"] == []


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("nonsense", "JSON"),
        ("[]", "JSON"),
        ('{"op":"fly"}', "op"),
        ('{"link":"a"}', "op"),
        ('{"op":"cut"}', "link"),
        ('{"op":"cut","link":"b"}', '"b"'),
        ('{"op":"cut","link":"a","links":["a"]}', "not both"),
        ('{"op":"cut","link":"a","delay_ms":1}', "delay_ms"),
        ('{"op":"set","link":"a"}', "nothing to set"),
        ('{"op":"set","link":"a","delay_ms":-1}', "delay_ms"),
        ('{"op":"set","link":"a","delay_ms":1e300}', "delay_ms"),
        ('{"op":"set","link":"a","delay_ms":"1"}', "number"),
        ('{"op":"set","link":"a","rate":0}', "rate"),
        ('{"op":"set","link":"a","delay_ms":1,"direction":"up"}', "direction"),
        ('{"op":"drop","link":"a"}', "direction"),
        ('{"op":"add","link":"b","target":"127.0.0.1:1"}', "listen"),
        ('{"op":"add","link":"b","listen":"0.0.0.0:0","target":"127.0.0.1:1"}', "loopback"),
        ('{"op":"add","link":"a","listen":"127.0.0.1:0","target":"127.0.0.1:1"}', "already"),
        (" " * (1 << 21) + "x", "bytes"),
    ],
)
def test_bad_lines_are_answered_and_change_nothing(
    start_relay: StartRelay, target: Target, line: str, word: str
) -> None:
    relay = start_relay(link("a", target), "--delay-ms", "3")
    relay.ports()
    before = relay.stats("a")
    answer = relay.send(line)
    assert list(answer) == ["error"] and word in answer["error"]
    assert relay.ask("stats")["links"] == [before]


def test_it_ends_with_its_input(start_relay: StartRelay, target: Target) -> None:
    relay = start_relay(link("a", target))
    with target.connection(relay.ports()["a"]) as (client, _):
        relay.close_input()
        assert relay.wait() == 0
        expect_reset(client)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_a_signal(start_relay: StartRelay, target: Target, number: int) -> None:
    relay = start_relay(link("a", target))
    relay.ports()
    relay.process.send_signal(number)
    assert relay.wait() == 0


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--link=a"], "NAME=LISTEN>TARGET"),
        (["--link=a=127.0.0.1:0"], "NAME=LISTEN>TARGET"),
        (["--link=a=127.0.0.1>127.0.0.1:1"], "LISTEN"),
        (["--link=a=0.0.0.0:0>127.0.0.1:1"], "loopback"),
        (["--link=a=127.0.0.1:0>127.0.0.1:1", "--link=a=127.0.0.1:0>127.0.0.1:1"], "already"),
        (["--link=a=127.0.0.1:0>127.0.0.1:1", "--delay-ms=-1"], "--delay-ms"),
        (["--link=a=127.0.0.1:0>127.0.0.1:1", "--rate=0"], "--rate"),
    ],
)
def test_wrong_usage(start_relay: StartRelay, arguments: list[str], word: str) -> None:
    relay = start_relay(*arguments)
    assert relay.wait() == USAGE
    assert relay.process.stderr is not None
    assert word in relay.process.stderr.read().decode()


def test_a_port_that_is_in_use(start_relay: StartRelay, target: Target) -> None:
    relay = start_relay(f"--link=a={target.address}>127.0.0.1:1")
    assert relay.wait() == UNAVAILABLE
    assert relay.process.stderr is not None
    assert target.address in relay.process.stderr.read().decode()
