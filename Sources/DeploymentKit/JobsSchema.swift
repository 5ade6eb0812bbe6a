/// `jobs.schema.json`, which editors read: derived from the declared fields.
enum JobsSchema {
    static var document: Document {
        [
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Scheduler jobs and where they are deployed",
            "type": "object",
            "additionalProperties": false,
            "required": ["environments", "jobs"],
            "properties": .map(JobsFile.keys.map { ($0, part($0)) }),
            "$defs": [
                "environment": section("Where jobs are deployed.", EnvironmentDefinition.fields),
                "customRole": section("A role where no predefined one is narrow enough.", CustomRole.fields),
                "defaults": section(
                    "Values of jobs that do not say otherwise.", JobDefinition.fields.filter(\.mayBeDefault),
                    required: []),
                "job": section(
                    "A job.", JobDefinition.fields,
                    required: JobDefinition.fields.filter { $0.isRequired && !$0.mayBeDefault }),
            ],
        ]
    }

    private static func part(_ key: String) -> Document {
        switch key {
        case "environments":
            [
                "type": "object", "propertyNames": ["enum": .strings(EnvironmentDefinition.names)],
                "additionalProperties": ["$ref": "#/$defs/environment"], "minProperties": 1,
            ]
        case "custom_roles":
            [
                "type": "object", "propertyNames": .map(pattern(.roleName)),
                "additionalProperties": ["$ref": "#/$defs/customRole"],
            ]
        case "datasets":
            [
                "type": "object", "description": "Datasets that roles are given on, with their descriptions.",
                "propertyNames": .map(pattern(.dataset)), "additionalProperties": ["type": "string"],
            ]
        case "defaults": ["$ref": "#/$defs/defaults"]
        default: ["type": "array", "items": ["$ref": "#/$defs/job"], "minItems": 1]
        }
    }

    private static func section(_ description: String, _ fields: [Field], required: [Field]? = nil) -> Document {
        [
            "type": "object",
            "description": .string(description),
            "additionalProperties": false,
            "required": .strings((required ?? fields.filter(\.isRequired)).map(\.key)),
            "properties": .map(fields.map { ($0.key, property($0)) }),
        ]
    }

    private static func property(_ field: Field) -> Document {
        let examples: Document? = field.examples.isEmpty ? nil : .strings(field.examples)
        return .map(form(field.form) + [("description", .string(field.help)), ("examples", examples)])
    }

    private static func form(_ form: Field.Form) -> [(String, Document?)] {
        let text: (String, Document?) = ("type", "string")
        switch form {
        case .text(let longest, _): return [text, ("maxLength", longest.map { .integer($0) })]
        case .name(let name): return [text] + pattern(name)
        case .integer(let range):
            return [
                ("type", "integer"), ("minimum", .integer(range.lowerBound)), ("maximum", .integer(range.upperBound)),
            ]
        case .flag: return [("type", "boolean")]
        case .seconds: return [text, ("pattern", "^[1-9][0-9]*[smh]$")]
        case .cpu: return [("enum", .array(TaskSize.memory.keys.sorted().map { .integer($0) }))]
        case .memory: return [text, ("pattern", "^[1-9][0-9]*(Mi|Gi)$")]
        case .schedule, .timeZone: return [text]
        case .list(let item):
            return [("type", "array"), ("items", .map([text] + (item.map(pattern) ?? [])))]
        case .variables:
            let value: Document = ["type": ["string", "number", "boolean"]]
            return [
                ("type", "object"), ("propertyNames", .map(pattern(.variable))), ("additionalProperties", value),
            ]
        case .budget: return Budget.schema
        case .roles:
            let roles: Document = ["type": "array", "items": ["type": "string"]]
            return [("type", "object"), ("additionalProperties", roles)]
        }
    }

    private static func pattern(_ pattern: Pattern) -> [(String, Document?)] {
        [("pattern", .string("^(?:\(pattern.expression))$")), ("maxLength", .integer(pattern.lengths.upperBound))]
    }
}
