internal import AtlasCore
internal import Glibc

/// Where files are made that the database takes in. It lies beside the database, and so on the same file system: a file
/// is moved by linking it. Nothing in it outlives the process that made it.
struct StagingDirectory: Sendable {
    let path: String

    init(beside database: String) {
        var name = Substring(database)
        while name.count > 1, name.last == "/" { name.removeLast() }
        path = "\(name).staging"
    }

    func create() throws(StoreError) {
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw failure("cannot be made") }
    }

    /// Removes the directory and what an earlier life has left in it.
    func clear() throws(StoreError) {
        guard let entries = opendir(path) else {
            if errno == ENOENT { return }
            throw failure("cannot be read")
        }
        defer { closedir(entries) }
        while let entry = readdir(entries) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name == "." || name == ".." { continue }
            guard unlink("\(path)/\(name)") == 0 else { throw failure("cannot be emptied of \(name)") }
        }
        guard rmdir(path) == 0 else { throw failure("cannot be removed") }
    }

    private func failure(_ what: String) -> StoreError {
        let reason = errno
        let text = "\(path) \(what): \(String(cString: strerror(reason)))"
        return reason == ENOSPC ? .diskFull(text) : .failed(text)
    }
}
