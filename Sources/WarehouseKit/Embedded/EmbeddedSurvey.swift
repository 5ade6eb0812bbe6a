#if EmbeddedWarehouse
    /// Compares many datasets with the tables they should have, within one transaction.
    ///
    /// Datasets of one age store the same text for a table, so each distinct text is read and compared once.
    struct EmbeddedSurvey {
        private struct Stored: Hashable {
            var name: String
            var resource: String
        }

        private let metadata: EmbeddedMetadata
        private let wanted: [NamedTable]
        private var conforming: [Stored: Bool] = [:]

        init(_ metadata: EmbeddedMetadata, for tables: [NamedTable]) {
            self.metadata = metadata
            wanted = tables
        }

        /// `nil` where the dataset has all that is wanted.
        mutating func finding(_ dataset: DatasetID) throws -> SchemaSurvey.Finding? {
            guard try metadata.dataset(dataset) != nil else {
                return SchemaSurvey.Finding(datasetExists: false, absent: Set(wanted.map(\.name)), differing: [])
            }
            let resources = try metadata.resources(in: dataset)
            var finding = SchemaSurvey.Finding(datasetExists: true, absent: [], differing: [])
            for table in wanted {
                guard let resource = resources[table.name] else {
                    finding.absent.insert(table.name)
                    continue
                }
                if try !isConforming(table, Stored(name: table.name, resource: resource)) {
                    finding.differing.insert(table.name)
                }
            }
            return finding.absent.isEmpty && finding.differing.isEmpty ? nil : finding
        }

        private mutating func isConforming(_ table: NamedTable, _ stored: Stored) throws -> Bool {
            if let known = conforming[stored] { return known }
            let actual = try EmbeddedMetadata.table(stored.resource)
            let result = SchemaDiff(expected: table.table, actual: actual).isConforming
            conforming[stored] = result
            return result
        }
    }
#endif
