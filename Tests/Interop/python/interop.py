"""Python's grpcio against the interop server: interop.py HOST:PORT. Exits with 1 if anything is wrong."""

import concurrent.futures
import sys
import threading
import time

import grpc

SERVICE = "/interop.Interop/"
LIMIT = 4 << 20


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def unary(channel, method):
    return channel.unary_unary(SERVICE + method)


def expect_code(code, call):
    try:
        call()
    except grpc.RpcError as error:
        check(error.code() == code, f"{error.code()} instead of {code}: {error.details()}")
        return error
    raise AssertionError(f"no error instead of {code}")


def test_echo(channel):
    for size in [0, 1, 100, 65_536, 300_000, LIMIT]:
        message = bytes(index * 31 % 251 for index in range(size))
        check(unary(channel, "Echo")(message, timeout=30) == message, f"echo of {size} bytes")


def test_many_at_once(channel):
    futures = [unary(channel, "Echo").future(str(index).encode(), timeout=30) for index in range(1000)]
    check([future.result() for future in futures] == [str(index).encode() for index in range(1000)], "order")


def test_from_threads(channel):
    def work(index):
        for count in range(50):
            message = f"{index}/{count}".encode()
            check(unary(channel, "Echo")(message, timeout=30) == message, "echo in a thread")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


def test_error(channel):
    error = expect_code(grpc.StatusCode.FAILED_PRECONDITION, lambda: unary(channel, "Fail")(b"", timeout=30))
    check(error.details() == "not ready: 50% ünmöglich\n", error.details())
    trailers = dict(error.trailing_metadata())
    check(trailers["reason"] == "because", trailers)
    check(trailers["blob-bin"] == bytes([0, 1, 254, 255]), trailers)
    check(trailers["grpc-status-details-bin"] == bytes([8, 9]), trailers)


def test_unknown_method(channel):
    expect_code(grpc.StatusCode.UNIMPLEMENTED, lambda: unary(channel, "Nothing")(b"", timeout=30))
    expect_code(
        grpc.StatusCode.UNIMPLEMENTED, lambda: channel.unary_unary("/no.Service/Method")(b"", timeout=30)
    )


def test_metadata(channel):
    call = unary(channel, "Metadata")
    _, call = call.with_call(b"x", timeout=30, metadata=[("color", "blue"), ("data-bin", bytes([1, 2, 250]))])
    for received in [dict(call.initial_metadata()), dict(call.trailing_metadata())]:
        check(received["color"] == "blue", received)
        check(received["data-bin"] == bytes([1, 2, 250]), received)


def test_deadline(channel):
    left = int(unary(channel, "TimeLeft")(b"", timeout=20))
    check(10_000 < left <= 21_000, f"{left} ms left of 20 s; grpcio rounds up")
    check(unary(channel, "TimeLeft")(b"") == b"none", "no deadline")
    start = time.monotonic()
    expect_code(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: unary(channel, "Never")(b"", timeout=0.1))
    check(time.monotonic() - start < 5, "deadline came late")


def test_cancel(channel):
    future = unary(channel, "Never").future(b"", timeout=30)
    time.sleep(0.05)
    future.cancel()
    check(future.cancelled(), "cancelled")
    check(unary(channel, "Echo")(b"after", timeout=30) == b"after", "echo after a cancelled call")


def test_too_large(channel):
    expect_code(
        grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: unary(channel, "Echo")(bytes(LIMIT + 1), timeout=30)
    )
    check(unary(channel, "Echo")(b"after", timeout=30) == b"after", "echo after a message that was too large")


def test_compression(channel):
    # The server does not offer any: a client that compresses all the same is told so.
    call = lambda: unary(channel, "Echo")(bytes(10_000), timeout=30, compression=grpc.Compression.Gzip)
    expect_code(grpc.StatusCode.UNIMPLEMENTED, call)


def test_bidirectional_stream(channel):
    messages = [str(index).encode() for index in range(500)]
    replies = channel.stream_stream(SERVICE + "Stream")(iter(messages), timeout=30)
    check(list(replies) == messages, "stream")


def test_ping_pong(channel):
    turn = threading.Semaphore(1)

    def requests():
        for index in range(100):
            turn.acquire()
            yield str(index).encode()

    for index, reply in enumerate(channel.stream_stream(SERVICE + "Stream")(requests(), timeout=30)):
        check(reply == str(index).encode(), "ping pong")
        turn.release()


def test_client_stream(channel):
    check(channel.stream_unary(SERVICE + "Collect")((bytes(20_000) for _ in range(50)), timeout=30) == b"1000000", "sum")


def test_server_stream(channel):
    for count, size in [(5000, 100), (100, 100_000), (3, LIMIT)]:
        replies = channel.unary_stream(SERVICE + "Source")(f"{count} {size}".encode(), timeout=60)
        check([len(reply) for reply in replies] == [size] * count, f"{count} × {size}")


def test_slow_reader(channel):
    replies = channel.unary_stream(SERVICE + "Source")(b"300 20000", timeout=60)
    time.sleep(0.5)
    check(unary(channel, "Echo")(b"meanwhile", timeout=30) == b"meanwhile", "echo beside a stream that nobody reads")
    check(sum(len(reply) for reply in replies) == 6_000_000, "all of it in the end")


def test_cancelled_stream(channel):
    replies = channel.unary_stream(SERVICE + "Source")(b"100000 1000", timeout=60)
    next(replies)
    replies.cancel()
    check(unary(channel, "Echo")(b"after", timeout=30) == b"after", "echo after a cancelled stream")


def main():
    options = [("grpc.max_receive_message_length", 2 * LIMIT), ("grpc.max_send_message_length", 2 * LIMIT)]
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    failed = 0
    with grpc.insecure_channel(sys.argv[1], options=options) as channel:
        for name, test in tests:
            try:
                test(channel)
                print(f"ok      {name}")
            except Exception as error:  # every test is reported
                failed += 1
                print(f"FAILED  {name}: {error!r}")
    print(f"{len(tests) - failed} of {len(tests)} passed")
    sys.exit(1 if failed else 0)


main()
