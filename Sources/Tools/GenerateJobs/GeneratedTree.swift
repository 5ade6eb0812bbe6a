import DeploymentKit
import Foundation

/// The files of the repository that are written from `jobs.yaml`. Files of `deploy/generated` that no longer belong to a job or
/// environment are removed.
struct GeneratedTree {
    struct Change {
        var path: String
        /// `nil` if the file is removed.
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

    let root: URL

    private static let folder = "deploy/generated"

    /// Every generated text by its path from the root. A document is generated if it has a mark.
    func texts(for file: JobsFile, describedBy descriptions: JobDescriptions) throws -> [String: String] {
        var texts = ["jobs.schema.json": GeneratedFiles.schema]
        for (path, text) in GeneratedFiles.texts(for: file, describedBy: descriptions) {
            texts["\(Self.folder)/\(path)"] = text
        }
        for path in try ["README.md"] + paths(in: "docs") where path.hasSuffix(".md") {
            guard let text = text(path), text.contains("<!-- generated: ") else { continue }
            texts[path] = try GeneratedFiles.document(text, named: path, for: file)
        }
        return texts
    }

    func changes(to texts: [String: String]) throws -> [Change] {
        let written = texts.compactMap { path, text -> Change? in
            let now = self.text(path)
            return now == text ? nil : Change(path: path, text: text, exists: now != nil)
        }
        let removed = Set(try paths(in: Self.folder)).subtracting(texts.keys)
        return (written + removed.map { Change(path: $0, text: nil, exists: true) }).sorted { $0.path < $1.path }
    }

    func apply(_ changes: [Change]) throws {
        for change in changes {
            let file = root.appending(path: change.path)
            guard let text = change.text else {
                try FileManager.default.removeItem(at: file)
                continue
            }
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file, options: .atomic)
        }
    }

    private func text(_ path: String) -> String? {
        try? String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    private func paths(in folder: String) throws -> [String] {
        let url = root.appending(path: folder)
        guard FileManager.default.fileExists(atPath: url.path) else { return [] }
        return try FileManager.default.subpathsOfDirectory(atPath: url.path).filter {
            var isFolder: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: url.appending(path: $0).path, isDirectory: &isFolder)
            return !isFolder.boolValue
        }.map { "\(folder)/\($0)" }
    }
}
