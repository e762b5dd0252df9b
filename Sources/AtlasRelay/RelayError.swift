/// Why a relay did not do what it was asked for; nothing was changed.
package struct RelayError: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Kind: Sendable, Hashable {
        /// There is no link of that name.
        case unknownLink
        /// There is a link of that name.
        case duplicateLink
        /// An address, a condition or a limit cannot be.
        case invalid
        /// The system refused the address; usually it is in use.
        case cannotListen
        /// The relay has been closed.
        case closed
    }

    package let kind: Kind
    package let description: String
}
