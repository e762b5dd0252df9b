internal import AtlasCore
internal import AtlasLog

/// Why a node cannot start. The message says what, where and what to do.
package struct NodeError: Error, Hashable, Sendable, CustomStringConvertible {
    package var description: String

    package init(_ description: String) {
        self.description = description
    }
}
