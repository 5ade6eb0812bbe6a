import BigQueryWarehouse
import EmbeddedWarehouse
import Foundation
import JobRuntime
import TestSupport
import Testing
import Warehouse

@Suite struct FieldSchemaTests {
    @Test func sendsBackWhatItDoesNotInterpret() throws {
        let text = """
            {"name": "a", "type": "STRING", "mode": "REQUIRED", "description": "d", "maxLength": "20",
             "policyTags": {"names": ["projects/p/locations/us/taxonomies/1/policyTags/2"]},
             "defaultValueExpression": "'x'", "collation": "und:ci", "roundingMode": null}
            """

        let field = try JSONDecoder().decode(FieldSchema.self, from: Data(text.utf8))
        let again = try JSONDecoder().decode(JSONValue.self, from: try JSONEncoder().encode(field))

        #expect(again == (try .text(text)))
    }

    @Test(arguments: [
        (#"{"name": "a", "type": "STRING"}"#, FieldSchema.Mode.nullable),
        (#"{"name": "a", "type": "STRING", "mode": null}"#, .nullable),
        (#"{"name": "a", "type": "STRING", "mode": ""}"#, .nullable),
        (#"{"name": "a", "type": "STRING", "mode": "required"}"#, .required),
        (#"{"name": "a", "type": "STRING", "mode": "REPEATED"}"#, .repeated),
    ])
    func readsTheMode(_ text: String, _ mode: FieldSchema.Mode) throws {
        #expect(try JSONDecoder().decode(FieldSchema.self, from: Data(text.utf8)).mode == mode)
    }

    @Test(arguments: [
        (FieldSchema("a", "integer"), "INT64"),
        (FieldSchema("a", "STRING", mode: .repeated), "ARRAY<STRING>"),
        (FieldSchema("a", "STRING", attributes: ["maxLength": .string("20")]), "STRING(20)"),
        (
            FieldSchema(
                "a", "NUMERIC", mode: .repeated, attributes: ["precision": .integer(10), "scale": .string("2")]),
            "ARRAY<NUMERIC(10, 2)>"
        ),
        (
            FieldSchema(
                "a", "RECORD", mode: .repeated,
                fields: [FieldSchema("b", "FLOAT"), FieldSchema("c", "RECORD", fields: [FieldSchema("d", "BOOLEAN")])]),
            "ARRAY<STRUCT<b FLOAT64, c STRUCT<d BOOL>>>"
        ),
        (FieldSchema("a", "DECIMAL", attributes: ["precision": .string("10")]), "NUMERIC(10)"),
        (FieldSchema("a", "NUMERIC", attributes: ["precision": .string("10"), "scale": .string("0")]), "NUMERIC(10)"),
        (
            FieldSchema("a", "BIGNUMERIC", attributes: ["precision": .integer(12), "scale": .integer(0)]),
            "BIGNUMERIC(12)"
        ),
        (
            FieldSchema("a", "RANGE", attributes: ["rangeElementType": .object(["type": .string("date")])]),
            "RANGE<DATE>"
        ),
        (FieldSchema("a", "TIMESTAMP", attributes: ["timestampPrecision": .string("6")]), "TIMESTAMP"),
        (FieldSchema("a", "TIMESTAMP", attributes: ["timestampPrecision": .string("12")]), "TIMESTAMP(12)"),
        (
            FieldSchema("a", "RECORD", fields: [FieldSchema("order id", "STRING"), FieldSchema("hash", "STRING")]),
            "STRUCT<`order id` STRING, `hash` STRING>"
        ),
    ])
    func hasATypeAsInformationSchemaShowsIt(_ field: FieldSchema, _ type: String) {
        #expect(field.sqlType == type)
    }

    @Test func readsNumbersAsNumbersAndAsText() throws {
        let numbers = #"{"name": "a", "type": "NUMERIC", "precision": 10, "scale": 2}"#
        let texts = #"{"name": "a", "type": "NUMERIC", "precision": "10", "scale": "2"}"#

        let read = try [numbers, texts].map { try JSONDecoder().decode(FieldSchema.self, from: Data($0.utf8)) }

        #expect(read[0] == read[1])
    }
}
