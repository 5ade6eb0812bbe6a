import FoundationEssentials
import Glibc

/// Reads a small file whole, with the system's own reason when that fails.
enum FileBytes {
    struct Failure: Error {
        let reason: String
    }

    /// Far above any credential file; a wrong path, such as a device or a log, must not fill the memory.
    static let limit = 1 << 20

    /// `nil` when there is no such file.
    static func read(_ path: String) throws -> Data? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw Failure(reason: String(cString: strerror(errno)))
        }
        defer { close(file) }
        var data = Data()
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = Glibc.read(file, &buffer, buffer.count)
            if count == 0 { return data }
            if count < 0 {
                if errno == EINTR { continue }
                throw Failure(reason: String(cString: strerror(errno)))
            }
            data.append(contentsOf: buffer.prefix(count))
            guard data.count <= limit else { throw Failure(reason: "it is larger than 1 MiB") }
        }
    }
}
