import FoundationEssentials

extension Catalog {
    /// Reads a folder with one folder for each group and one file for each table.
    package init(directory: String, _ groups: [Group]) throws(CatalogError) {
        var problems: [String] = []
        var sources: [Group: [CatalogFile]] = [:]
        for group in groups {
            do throws(CatalogError) {
                sources[group] = try Self.files(in: "\(directory)/\(group.rawValue)")
            } catch {
                problems += error.problems
            }
        }
        do throws(CatalogError) {
            try self.init(sources)
        } catch {
            throw CatalogError(problems: problems + error.problems)
        }
        guard problems.isEmpty else { throw CatalogError(problems: problems) }
    }

    private static func files(in folder: String) throws(CatalogError) -> [CatalogFile] {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
            throw CatalogError(problems: ["\(folder): no such folder, or it cannot be read"])
        }
        let files = names.filter { $0.hasSuffix(".json") }.sorted()
        guard !files.isEmpty else { throw CatalogError(problems: ["\(folder): no .json file in it"]) }
        var problems: [String] = []
        var read: [CatalogFile] = []
        for file in files {
            let path = "\(folder)/\(file)"
            if let contents = FileManager.default.contents(atPath: path) {
                read.append(
                    CatalogFile(name: String(file.dropLast(5)), path: path, contents: contents, isForeign: true))
            } else {
                problems.append("\(path): cannot be read")
            }
        }
        guard problems.isEmpty else { throw CatalogError(problems: problems) }
        return read
    }
}
