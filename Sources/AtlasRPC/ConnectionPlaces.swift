internal import NIOCore

/// The places for a server's connections: so many in all, so many of them for one address, and a reserve beyond both for those
/// of the cluster itself, which clients must not lock out.
struct ConnectionPlaces {
    enum Place {
        case regular
        /// Kept only if the connection turns out to be one of the cluster's own.
        case reserved
    }

    private let configuration: RPCServerConfiguration
    private var regular = 0
    private var reserved = 0
    private var byAddress: [SourceAddress: Int] = [:]

    init(_ configuration: RPCServerConfiguration) {
        self.configuration = configuration
    }

    /// A place for a connection; `nil` if there is none.
    mutating func take(for address: SourceAddress) -> Place? {
        if regular < configuration.connectionsMax,
            byAddress[address, default: 0] < configuration.connectionsPerAddressMax
        {
            regular += 1
            byAddress[address, default: 0] += 1
            return .regular
        }
        guard reserved < configuration.connectionsReservedMax else { return nil }
        reserved += 1
        return .reserved
    }

    mutating func giveBack(_ place: Place, of address: SourceAddress) {
        switch place {
        case .reserved:
            reserved -= 1
        case .regular:
            regular -= 1
            let left = byAddress[address, default: 1] - 1
            byAddress[address] = left > 0 ? left : nil
        }
    }
}

/// Where a connection comes from, as far as its share goes: an IPv4 address, or the /64 network of an IPv6 one, all of whose
/// addresses are one host's to choose from.
struct SourceAddress: Hashable {
    private let bytes: [UInt8]

    init(_ address: SocketAddress?) {
        switch address {
        // Where `sockaddr_in` and `sockaddr_in6` have the address.
        case .v4(let address): bytes = withUnsafeBytes(of: address.address) { Array($0[4..<8]) }
        case .v6(let address):
            let all = withUnsafeBytes(of: address.address) { Array($0[8..<24]) }
            let isMapped = all[..<10].allSatisfy { $0 == 0 } && all[10] == 0xff && all[11] == 0xff
            bytes = Array(isMapped ? all[12...] : all[..<8])
        case .unixDomainSocket, nil: bytes = []
        }
    }
}
