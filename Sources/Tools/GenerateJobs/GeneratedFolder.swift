import Foundation

/// The folder that generated files are written to. Files that no job asks for any more are removed.
struct GeneratedFolder {
    struct Change {
        var path: String
        /// `nil` where the file goes.
        var text: String?
        var exists: Bool

        var sentence: String {
            switch (text, exists) {
            case (nil, _): "removed \(path)"
            case (_, true): "changed \(path)"
            case (_, false): "wrote \(path)"
            }
        }
    }

    let url: URL

    func changes(to texts: [String: String]) throws -> [Change] {
        let present = Set(try paths())
        let written = texts.compactMap { path, text -> Change? in
            let now = try? String(contentsOf: url.appending(path: path), encoding: .utf8)
            return now == text ? nil : Change(path: path, text: text, exists: now != nil)
        }
        let removed = present.subtracting(texts.keys).map { Change(path: $0, text: nil, exists: true) }
        return (written + removed).sorted { $0.path < $1.path }
    }

    func apply(_ changes: [Change]) throws {
        for change in changes {
            let file = url.appending(path: change.path)
            guard let text = change.text else {
                try FileManager.default.removeItem(at: file)
                continue
            }
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file, options: .atomic)
        }
    }

    private func paths() throws -> [String] {
        guard FileManager.default.fileExists(atPath: url.path) else { return [] }
        return try FileManager.default.subpathsOfDirectory(atPath: url.path).filter {
            var isFolder: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: url.appending(path: $0).path, isDirectory: &isFolder)
            return !isFolder.boolValue
        }
    }
}
