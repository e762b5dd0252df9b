import Foundation
import AtlasTypes
import NIOCore
import SwiftProtobuf

@testable import AtlasWire

/// A message that is coded by hand, beside the generated message that it must behave like.
protocol HandCoded: Hashable {
    associatedtype Generated: SwiftProtobuf.Message & Equatable & Sendable

    init(decoding buffer: ByteBuffer) throws(WireError)
    func encode(into buffer: inout ByteBuffer)
    var encodedSize: Int { get }
    /// The same content, field by field by name.
    var generated: Generated { get }
    /// Whether a request id has a length that is kept as a length only, so that it cannot be compared.
    var hasMalformedID: Bool { get }
}

extension HandCoded {
    var hasMalformedID: Bool { false }

    var encoded: [UInt8] {
        var buffer = ByteBuffer()
        encode(into: &buffer)
        return Array(buffer.readableBytesView)
    }
}

extension WireRequestID {
    var isMalformed: Bool {
        if case .malformed = self { true } else { false }
    }

    var bytes: [UInt8] {
        guard case .id(let id) = self else { return [] }
        return [id.high, id.low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) } }
    }
}

extension WireCondition {
    var generated: Atlas_Condition {
        .with {
            switch self {
            case .unknown: break
            case .absent(let value): $0.absent = value
            case .exists(let value): $0.exists = value
            case .version(let version): $0.version = version
            case .valueEquals(let value): $0.valueEquals = Data(value)
            }
        }
    }
}

extension WirePrevious {
    var generated: Atlas_Previous {
        .with {
            $0.value = Data(value)
            $0.version = version
        }
    }
}

extension WireReceipt {
    var generated: Atlas_Receipt {
        .with {
            $0.ownerNode = ownerNode
            $0.ownerRegion = ownerRegion
            if let ballot {
                $0.ballot = .with {
                    $0.counter = ballot.counter
                    $0.node = ballot.node
                    $0.handoff = ballot.handoff
                }
            }
            $0.tablet = tablet
            $0.slot = slot
            $0.path = path
            $0.quorumRegions = quorumRegions
            $0.stalenessMs = staleness
            $0.serverTimeUs = serverTime
        }
    }
}

extension WireGetRequest: HandCoded {
    var generated: Atlas_GetRequest {
        .with {
            $0.key = Data(key)
            $0.consistentRead = consistentRead
            $0.consistency = consistency
            $0.maxStalenessMs = maxStaleness
            $0.minVersion = minVersion
            $0.atVersion = atVersion
            $0.wantReceipt = wantReceipt
        }
    }
}

extension WireGetResponse: HandCoded {
    var generated: Atlas_GetResponse {
        .with {
            $0.value = Data(value)
            $0.found = found
            $0.version = version
            if let receipt { $0.receipt = receipt.generated }
        }
    }
}

extension WirePutRequest: HandCoded {
    var hasMalformedID: Bool { requestID.isMalformed }

    var generated: Atlas_PutRequest {
        .with {
            $0.key = Data(key)
            $0.value = Data(value)
            $0.expectedVersion = expectedVersion
            if let condition { $0.condition = condition.generated }
            $0.ttlMs = ttl
            $0.writeLevel = writeLevel
            $0.requestID = Data(requestID.bytes)
            $0.returnPrevious = returnPrevious
            $0.wantReceipt = wantReceipt
        }
    }
}

extension WirePutResponse: HandCoded {
    var generated: Atlas_PutResponse {
        .with {
            $0.success = success
            $0.version = version
            $0.error = error
            $0.code = code
            $0.currentVersion = currentVersion
            if let previous { $0.previous = previous.generated }
            if let receipt { $0.receipt = receipt.generated }
        }
    }
}

extension WireDeleteRequest: HandCoded {
    var hasMalformedID: Bool { requestID.isMalformed }

    var generated: Atlas_DeleteRequest {
        .with {
            $0.key = Data(key)
            $0.expectedVersion = expectedVersion
            if let condition { $0.condition = condition.generated }
            $0.writeLevel = writeLevel
            $0.requestID = Data(requestID.bytes)
            $0.returnPrevious = returnPrevious
            $0.wantReceipt = wantReceipt
        }
    }
}

extension WireDeleteResponse: HandCoded {
    var generated: Atlas_DeleteResponse {
        .with {
            $0.success = success
            $0.error = error
            $0.code = code
            $0.currentVersion = currentVersion
            if let previous { $0.previous = previous.generated }
            if let receipt { $0.receipt = receipt.generated }
            $0.existed = existed
            $0.version = version
        }
    }
}

extension WireScanRequest: HandCoded {
    var generated: Atlas_ScanRequest {
        .with {
            $0.startKey = Data(startKey)
            $0.endKey = Data(endKey)
            $0.limit = limit
            $0.reverse = reverse
            $0.consistency = consistency
            $0.maxStalenessMs = maxStaleness
            $0.minVersion = minVersion
            $0.atVersion = atVersion
            $0.wantReceipt = wantReceipt
            $0.prefix = Data(prefix)
            $0.keysOnly = keysOnly
            $0.itemsPerMessage = itemsPerMessage
        }
    }
}

extension WireScanResponse: HandCoded {
    var generated: Atlas_ScanResponse {
        .with {
            $0.key = Data(key)
            $0.value = Data(value)
            $0.version = version
            $0.snapshotVersion = snapshotVersion
            $0.items = items.map { item in
                .with {
                    $0.key = Data(item.key)
                    $0.value = Data(item.value)
                    $0.version = item.version
                }
            }
            if let receipt { $0.receipt = receipt.generated }
        }
    }
}

extension WireBatchRequest: HandCoded {
    var hasMalformedID: Bool { requestID.isMalformed }

    var generated: Atlas_BatchRequest {
        .with {
            $0.operations = operations.map { operation in
                .with {
                    $0.type = operation.type
                    $0.key = Data(operation.key)
                    $0.value = Data(operation.value)
                    $0.expectedVersion = operation.expectedVersion
                    if let condition = operation.condition { $0.condition = condition.generated }
                    $0.ttlMs = operation.ttl
                    $0.returnPrevious = operation.returnPrevious
                }
            }
            $0.writeLevel = writeLevel
            $0.requestID = Data(requestID.bytes)
            $0.wantReceipt = wantReceipt
        }
    }
}

extension WireBatchResponse: HandCoded {
    var generated: Atlas_BatchResponse {
        .with {
            $0.results = results.map { result in
                .with {
                    $0.success = result.success
                    $0.value = Data(result.value)
                    $0.version = result.version
                    $0.error = result.error
                    $0.code = result.code
                    $0.currentVersion = result.currentVersion
                    if let previous = result.previous { $0.previous = previous.generated }
                    $0.found = result.found
                }
            }
            $0.success = success
            $0.failedIndex = failedIndex
            $0.version = version
            if let receipt { $0.receipt = receipt.generated }
        }
    }
}
