internal import Glibc
internal import NIOCore
internal import NIOPosix

/// Why there is no connection, or no more, in the words of the system.
enum ConnectionFailure {
    static func reason(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            // If an address was found, what matters is why it does not answer.
            (error.connectionErrors.last?.error ?? error.dnsAError ?? error.dnsAAAAError).map(reason) ?? "no address"
        case let error as SocketAddressError.UnknownHost:
            error.errorCode == EAI_NONAME ? "no such host" : error.errorDescription.lowercased()
        case let error as IOError: String(cString: strerror(error.errnoCode)).lowercased()
        case ChannelError.connectTimeout: "timed out"
        default: "\(error)"
        }
    }
}
