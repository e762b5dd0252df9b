import CRocksDB
import Foundation

@testable import AtlasRocksDB
import AtlasTestSupport

extension TemporaryDirectory {
    /// What a crash would leave: the files as they are at this moment, opened under another name. The manifest is
    /// copied first, and what it names stays there meanwhile.
    /// - Parameter change: called with the image before it is opened.
    func crashImage(
        of store: RocksDBStore,
        _ name: String = "image",
        change: (_ path: String) throws -> Void = { _ in }
    ) throws -> RocksDBStore {
        let files = FileManager.default
        let image = path(name)
        try checked { rocksdb_disable_file_deletions(store.database.handle, $0) }
        try files.createDirectory(atPath: image, withIntermediateDirectories: false)
        for isManifest in [true, false] {
            for file in try files.contentsOfDirectory(atPath: store.directory)
            where (file == "CURRENT" || file.hasPrefix("MANIFEST")) == isManifest {
                do {
                    try files.copyItem(atPath: "\(store.directory)/\(file)", toPath: "\(image)/\(file)")
                } catch CocoaError.fileReadNoSuchFile {
                    // It was obsolete before deletions were disabled, and is purged only now. One that the manifest
                    // names would be missed when the image is opened.
                }
            }
        }
        let staging = "\(store.directory).staging"
        if files.fileExists(atPath: staging) { try files.copyItem(atPath: staging, toPath: "\(image).staging") }
        try checked { rocksdb_enable_file_deletions(store.database.handle, 0, $0) }
        try change(image)
        return try RocksDBStore.open(directory: image, options: store.options)
    }
}
