// Closed-loop gRPC load with many distinct keys, the same for both systems:
//
//     keyload atlas|etcd put|get PORT CONNECTIONS STREAMS SECONDS KEYS REQUESTS
//
// For SECONDS it asks for keys at random out of KEYS; with REQUESTS above 0 it goes through that many keys once instead.
// It prints requests, requests per second, and mean latency in microseconds.
//
// One thread, HTTP/2 written by hand: request headers are the same bytes each time, response headers are not decoded. A
// response counts if a message came before its trailers, which gRPC leaves out when a call fails. So the generator takes
// less of the machine than a client library would, and takes the same for both.

import Glibc

struct Failure: Error {
    let text: String

    init(_ text: String) {
        self.text = text
    }
}

func nanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

// MARK: - Requests

/// Builds requests: fixed headers, then a message in which the key alone changes.
struct Requests {
    private let headers: [UInt8]
    private let tail: [UInt8]

    init(system: String, kind: String) throws {
        let path =
            switch (system, kind) {
            case ("atlas", "put"): "/atlas.AtlasDB/Put"
            case ("atlas", "get"): "/atlas.AtlasDB/Get"
            case ("etcd", "put"): "/etcdserverpb.KV/Put"
            case ("etcd", "get"): "/etcdserverpb.KV/Range"
            default: throw Failure("\(system) \(kind) is not known")
            }
        // HPACK: entries of the static table, and literals that are not to be indexed.
        headers =
            [0x83, 0x86, 0x04] + Self.literal(path) + [0x01] + Self.literal("127.0.0.1")
            + [0x0F, 0x10] + Self.literal("application/grpc") + [0x00] + Self.literal("te") + Self.literal("trailers")
        switch (system, kind) {
        case (_, "put"): tail = [0x12, 0x80, 0x02] + Array(repeating: UInt8(ascii: "v"), count: 256)
        case ("atlas", _): tail = [0x10, 0x01]  // consistent_read
        default: tail = []  // linearizable unless asked otherwise
        }
    }

    private static func literal(_ text: String) -> [UInt8] {
        [UInt8(text.utf8.count)] + text.utf8
    }

    /// What a request takes of the flow control windows.
    var messageBytes: Int { 5 + 18 + tail.count }

    func append(key: UInt64, stream: UInt32, to output: inout [UInt8]) {
        appendFrame(type: 1, flags: 4, stream: stream, count: headers.count, to: &output)
        output += headers
        appendFrame(type: 0, flags: 1, stream: stream, count: messageBytes, to: &output)
        output.append(0)
        appendWord(UInt32(messageBytes - 5), to: &output)
        output += [0x0A, 16]
        var divisor: UInt64 = 1_000_000_000_000_000
        while divisor > 0 {
            output.append(UInt8(ascii: "0") + UInt8(key / divisor % 10))
            divisor /= 10
        }
        output += tail
    }
}

func appendWord(_ word: UInt32, to output: inout [UInt8]) {
    for shift in [24, 16, 8, 0] as [UInt32] { output.append(UInt8(truncatingIfNeeded: word >> shift)) }
}

func appendFrame(type: UInt8, flags: UInt8, stream: UInt32, count: Int, to output: inout [UInt8]) {
    appendWord(UInt32(count) << 8 | UInt32(type), to: &output)
    output.append(flags)
    appendWord(stream, to: &output)
}

// MARK: - What to ask for

struct Keys {
    private let count: UInt64
    private var left: UInt64?
    private var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    private let total: UInt64

    init(count: UInt64, requests: UInt64) {
        self.count = max(1, count)
        total = requests
        left = requests > 0 ? requests : nil
    }

    /// `nil` when all were asked for.
    mutating func next() -> UInt64? {
        if let left {
            guard left > 0 else { return nil }
            self.left = left - 1
            // Each key once, but not in their order.
            return (total - left) &* 2_147_483_647 % total
        }
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state % count
    }
}

struct Tally {
    var done = 0
    var latency: UInt64 = 0
}

// MARK: - One connection

final class Connection {
    private struct Call {
        var begin: UInt64
        var gotMessage = false
    }

    let descriptor: Int32
    private let streamsMax: Int
    private var nextStream: UInt32 = 1
    private var calls: [UInt32: Call] = [:]
    private var sendWindow = 65_535
    private var received = 0
    private var output: [UInt8] = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    private var sent = 0
    private var input: [UInt8] = []
    private var chunk = [UInt8](repeating: 0, count: 256 << 10)

    init(port: UInt16, streams: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        streamsMax = streams
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw Failure("cannot connect: errno \(errno)") }
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        // Responses may come as they like: the largest windows.
        appendFrame(type: 4, flags: 0, stream: 0, count: 6, to: &output)
        output += [0, 4, 0x7F, 0xFF, 0xFF, 0xFF]
        appendWindowUpdate(0x7FFF_FFFF - 65_535)
        try flush()
    }

    var isIdle: Bool { calls.isEmpty }
    var hasOutput: Bool { sent < output.count }

    func fill(_ keys: inout Keys, _ requests: Requests) throws {
        let now = nanoseconds()
        while calls.count < streamsMax, sendWindow >= requests.messageBytes, let key = keys.next() {
            requests.append(key: key, stream: nextStream, to: &output)
            calls[nextStream] = Call(begin: now)
            nextStream += 2
            sendWindow -= requests.messageBytes
        }
        try flush()
    }

    func flush() throws {
        while hasOutput {
            let count = output.withUnsafeBytes {
                send(
                    descriptor,
                    $0.baseAddress! + sent,
                    $0.count - sent,
                    Int32(MSG_DONTWAIT | MSG_NOSIGNAL)
                )
            }
            if count < 0 {
                if errno == EAGAIN { return }
                throw Failure("cannot send: errno \(errno)")
            }
            sent += count
        }
        output.removeAll(keepingCapacity: true)
        sent = 0
    }

    /// Takes what has arrived.
    func receive(_ tally: inout Tally) throws {
        let count = chunk.withUnsafeMutableBytes {
            recv(descriptor, $0.baseAddress!, $0.count, Int32(MSG_DONTWAIT))
        }
        if count < 0 && errno == EAGAIN { return }
        guard count > 0 else { throw Failure("the server closed the connection") }
        input += chunk[..<count]
        let now = nanoseconds()
        var offset = 0
        while input.count - offset >= 9 {
            let length = Int(word(at: offset) >> 8)
            guard input.count - offset >= 9 + length else { break }
            let type = input[offset + 3]
            let flags = input[offset + 4]
            let stream = word(at: offset + 5) & 0x7FFF_FFFF
            try take(type, flags, stream, offset + 9..<offset + 9 + length, now, &tally)
            offset += 9 + length
        }
        input.removeFirst(offset)
    }

    private func word(at offset: Int) -> UInt32 {
        input[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }

    private func take(
        _ type: UInt8,
        _ flags: UInt8,
        _ stream: UInt32,
        _ payload: Range<Int>,
        _ now: UInt64,
        _ tally: inout Tally
    ) throws {
        switch type {
        case 0:
            if payload.count > 5 { calls[stream]?.gotMessage = true }
            received += payload.count
            if received > 1 << 28 {
                appendWindowUpdate(UInt32(received))
                received = 0
            }
        case 1 where flags & 1 != 0:
            guard let call = calls.removeValue(forKey: stream), call.gotMessage else { throw Failure("a call failed") }
            tally.done += 1
            tally.latency += now - call.begin
        case 4 where flags & 1 == 0:
            appendFrame(type: 4, flags: 1, stream: 0, count: 0, to: &output)
        case 6 where flags & 1 == 0:
            appendFrame(type: 6, flags: 1, stream: 0, count: 8, to: &output)
            output += input[payload]
        case 8 where stream == 0:
            sendWindow += Int(word(at: payload.lowerBound) & 0x7FFF_FFFF)
        case 3, 7:
            throw Failure("the server reset a stream or went away")
        default:
            break
        }
    }

    private func appendWindowUpdate(_ increment: UInt32) {
        appendFrame(type: 8, flags: 0, stream: 0, count: 4, to: &output)
        appendWord(increment, to: &output)
    }
}

// MARK: - The loop

func run(_ arguments: [String]) throws {
    guard arguments.count == 9, let port = UInt16(arguments[3]), let connections = Int(arguments[4]),
        let streams = Int(arguments[5]), let seconds = UInt64(arguments[6]), let count = UInt64(arguments[7]),
        let asked = UInt64(arguments[8])
    else { throw Failure("keyload atlas|etcd put|get PORT CONNECTIONS STREAMS SECONDS KEYS REQUESTS") }
    let requests = try Requests(system: arguments[1], kind: arguments[2])
    var keys = Keys(count: count, requests: asked)
    let open = try (0..<connections).map { _ in try Connection(port: port, streams: streams) }
    var tally = Tally()
    let began = nanoseconds()
    let end = asked > 0 ? UInt64.max : began + seconds * 1_000_000_000
    for connection in open { try connection.fill(&keys, requests) }
    while nanoseconds() < end, asked == 0 || !open.allSatisfy(\.isIdle) {
        var polled = open.map {
            pollfd(fd: $0.descriptor, events: Int16(POLLIN | ($0.hasOutput ? POLLOUT : 0)), revents: 0)
        }
        guard poll(&polled, nfds_t(polled.count), 10_000) > 0 else { throw Failure("no answer within 10 s") }
        for (connection, state) in zip(open, polled) where state.revents != 0 {
            try connection.receive(&tally)
            try connection.fill(&keys, requests)
        }
    }
    let elapsed = Double(nanoseconds() - began) / 1e9
    guard tally.done > 0 else { throw Failure("nothing was answered") }
    print(tally.done, Double(tally.done) / elapsed, Double(tally.latency) / Double(tally.done) / 1000)
}

do {
    try run(CommandLine.arguments)
} catch let failure as Failure {
    let line = Array("keyload: \(failure.text)\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
    exit(1)
}
