package import JobRuntime

/// The catalog that the job works with: the binary's own, or the folder that `CATALOG_DIR` names.
package struct CatalogSettings: Sendable {
    package let catalog: Catalog

    package static let environmentHelp: [(name: String, text: String)] = [
        ("CATALOG_DIR", "Instead of the built-in tables: organizations/, organization/, operations/*.json.")
    ]

    package init(reading environment: inout EnvironmentReader, groups: [Catalog.Group]) {
        let directory = environment.optionalString("CATALOG_DIR", expected: "the path of a folder")
        do throws(CatalogError) {
            if let directory {
                catalog = try Catalog(directory: directory, groups)
            } else {
                catalog = try Catalog.embedded(groups)
            }
        } catch {
            for problem in error.problems { environment.note(problem: "CATALOG_DIR: \(problem)") }
            catalog = Catalog()
        }
    }
}
