internal import Glibc
internal import Synchronization

/// A directory for what the benchmarks write, removed when the process ends; below BENCHMARK_DIRECTORY if that is set.
enum Scratch {
    private static let root: String = {
        let parent = getenv("BENCHMARK_DIRECTORY").map { String(cString: $0) } ?? "/var/tmp"
        var template = Array("\(parent)/atlas-benchmark-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { fatalError("cannot make a directory in \(parent)") }
        let path = String(cString: made)
        atexit { Scratch.remove(Scratch.root) }
        return path
    }()

    private static let count = Atomic<Int>(0)

    /// Another path in it, where nothing is yet.
    static func path() -> String {
        "\(root)/\(count.add(1, ordering: .relaxed).newValue)"
    }

    private static func remove(_ path: String) {
        guard let directory = opendir(path) else {
            unlink(path)
            return
        }
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { remove("\(path)/\(name)") }
        }
        closedir(directory)
        rmdir(path)
    }
}

/// Made when it is first used: registering a benchmark writes no files, and one that is called again finds what it made.
///
/// `@unchecked Sendable`: used by the thread that runs the benchmarks alone.
final class Lazy<Value>: @unchecked Sendable {
    private let make: () -> Value
    private var made: Value?

    init(_ make: @escaping () -> Value) {
        self.make = make
    }

    var value: Value {
        if let made { return made }
        let value = make()
        made = value
        return value
    }
}
