import Foundation
import JobRuntime
import TestSupport
import Testing
import Warehouse

@Suite struct TableTests {
    @Test func sendsWhatItWasReadWith() throws {
        let text = """
            {"description": "d", "friendlyName": "Events", "expirationTime": "1796601600000", "labels": {"a": "b"},
             "encryptionConfiguration": {"kmsKeyName": "projects/p/locations/us/keyRings/r/cryptoKeys/k"},
             "defaultCollation": "und:ci", "defaultRoundingMode": "ROUND_HALF_EVEN", "maxStaleness": "0-0 0 4:0:0",
             "tableConstraints": {"primaryKey": {"columns": ["n"]}}, "resourceTags": {"1/env": "prod"},
             "managedTableType": "NATIVE", "requirePartitionFilter": true, "clustering": {"fields": ["n"]},
             "rangePartitioning": {"field": "n", "range": {"start": "-5", "end": "9223372036854775807", "interval": "1"}},
             "schema": {"fields": [{"name": "n", "type": "INTEGER", "mode": "NULLABLE"}]}}
            """

        let table = try JSONDecoder().decode(Table.self, from: Data(text.utf8))
        let again = try JSONDecoder().decode(JSONValue.self, from: try JSONEncoder().encode(table))

        #expect(again == (try .text(text)))
    }

    @Test func leavesOutWhatOnlyBigQuerySets() throws {
        let text =
            #"{"schema": {"fields": []}, "numRows": "1", "location": "US", "cloneDefinition": {"cloneTime": "x"}}"#

        let table = try JSONDecoder().decode(Table.self, from: Data(text.utf8))

        #expect(table == Table(fields: []))
    }

    @Test func readsThePartitionFilterInItsOldPlace() throws {
        let text = """
            {"schema": {"fields": [{"name": "d", "type": "DATE"}]},
             "timePartitioning": {"type": "DAY", "field": "d", "expirationMs": 86400000, "requirePartitionFilter": true}}
            """
        var expected = Table(
            fields: [FieldSchema("d", "DATE")],
            timePartitioning: Table.TimePartitioning(type: "DAY", field: "d", expirationMs: "86400000"))
        expected.requirePartitionFilter = true

        let table = try JSONDecoder().decode(Table.self, from: Data(text.utf8))

        #expect(table == expected)
    }

    @Test func readsRangesAsNumbersAndAsText() throws {
        let numbers = #"{"field": "n", "range": {"end": 100, "interval": 10}}"#
        let texts = #"{"field": "n", "range": {"start": "0", "end": "100", "interval": "10"}}"#

        for text in [numbers, texts] {
            #expect(
                try JSONDecoder().decode(Table.RangePartitioning.self, from: Data(text.utf8))
                    == Table.RangePartitioning(field: "n", start: 0, end: 100, interval: 10))
        }
    }
}
