import NIOCore
import SwiftProtobuf

@testable import AtlasWire

/// All calls of a `SessionRequest`, read one by one.
struct Calls: HandCoded {
    var calls: [WireSessionCall] = []

    init(decoding buffer: ByteBuffer) throws(WireError) {
        var reader = WireSessionCalls(decoding: buffer)
        while let call = try reader.next() {
            calls.append(call)
        }
    }

    func encode(into buffer: inout ByteBuffer) {
        for call in calls {
            call.append(to: &buffer)
        }
    }

    var encodedSize: Int { encoded.count }

    var hasMalformedID: Bool {
        calls.contains { call in
            switch call.body {
            case .put(let request): request.hasMalformedID
            case .delete(let request): request.hasMalformedID
            case .batch(let request): request.hasMalformedID
            default: false
            }
        }
    }

    var generated: Atlas_SessionRequest {
        .with { $0.calls = calls.map(\.generated) }
    }
}

extension WireSessionCall {
    var generated: Atlas_SessionCall {
        .with {
            $0.id = id
            switch body {
            case .get(let request): $0.get = request.generated
            case .put(let request): $0.put = request.generated
            case .delete(let request): $0.delete = request.generated
            case .scan(let request): $0.scan = request.generated
            case .batch(let request): $0.batch = request.generated
            case .cancel: $0.cancel = Atlas_SessionCancel()
            case .credit(let messages): $0.credit = .with { $0.messages = messages }
            case nil: break
            }
            $0.timeoutMs = timeout
        }
    }
}

/// All answers of a `SessionResponse`, read one by one.
struct Answers: HandCoded {
    var answers: [WireSessionAnswer] = []

    init(decoding buffer: ByteBuffer) throws(WireError) {
        var reader = WireSessionAnswers(decoding: buffer)
        while let answer = try reader.next() {
            answers.append(answer)
        }
    }

    func encode(into buffer: inout ByteBuffer) {
        for answer in answers {
            answer.append(to: &buffer)
        }
    }

    var encodedSize: Int { encoded.count }

    var generated: Atlas_SessionResponse {
        .with { $0.answers = answers.map(\.generated) }
    }
}

extension WireSessionAnswer {
    var generated: Atlas_SessionAnswer {
        .with {
            $0.id = id
            switch body {
            case .get(let response): $0.get = response.generated
            case .put(let response): $0.put = response.generated
            case .delete(let response): $0.delete = response.generated
            case .scan(let response): $0.scan = response.generated
            case .batch(let response): $0.batch = response.generated
            case .scanEnd(let end):
                $0.scanEnd = .with {
                    $0.snapshotVersion = end.snapshotVersion
                    $0.items = end.items
                }
            case .error(let error):
                $0.error = .with {
                    $0.status = error.status
                    if let detail = error.detail { $0.detail = detail }
                }
            case nil: break
            }
        }
    }
}
