#if EmbeddedWarehouse
    import FoundationEssentials
    import GRDB

    /// Functions of GoogleSQL that SQLite lacks and statements of ours use.
    enum SQLFunctions {
        static func install(in database: Database) {
            database.add(function: DatabaseFunction("COUNTIF", argumentCount: 1, pure: true, aggregate: CountIf.self))
            database.add(
                function: DatabaseFunction("GENERATE_UUID", argumentCount: 0) { _ in UUID().uuidString.lowercased() })
        }

        private struct CountIf: DatabaseAggregate {
            private var count: Int64 = 0

            mutating func step(_ values: [DatabaseValue]) {
                if Bool.fromDatabaseValue(values[0]) == true { count += 1 }
            }

            func finalize() -> (any DatabaseValueConvertible)? { count }
        }
    }
#endif
