/// The version of the software.
package enum AtlasVersion {
    /// As in the change log.
    package static let current = "0.1.0"
}
