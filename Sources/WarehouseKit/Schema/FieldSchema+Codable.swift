extension FieldSchema: Codable {
    private struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(_ name: String) { stringValue = name }
        init?(stringValue: String) { self.init(stringValue) }
        init?(intValue: Int) { nil }
    }

    private static let ownKeys: Set<String> = ["name", "type", "mode", "description", "fields"]

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        let modeText = try container.decodeIfPresent(String.self, forKey: Key("mode")) ?? Mode.nullable.rawValue
        guard let mode = Mode(rawValue: modeText.isEmpty ? Mode.nullable.rawValue : modeText.uppercased()) else {
            throw DecodingError.dataCorruptedError(
                forKey: Key("mode"), in: container, debugDescription: "mode must be NULLABLE, REQUIRED or REPEATED")
        }
        self.init(
            try container.decode(String.self, forKey: Key("name")),
            try container.decode(String.self, forKey: Key("type")),
            mode: mode, description: try container.decodeIfPresent(String.self, forKey: Key("description")),
            fields: try container.decodeIfPresent([FieldSchema].self, forKey: Key("fields")) ?? [])
        for key in container.allKeys where !Self.ownKeys.contains(key.stringValue) {
            attributes[key.stringValue] = try container.decode(JSONValue.self, forKey: key)
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(name, forKey: Key("name"))
        try container.encode(type, forKey: Key("type"))
        try container.encode(mode.rawValue, forKey: Key("mode"))
        try container.encodeIfPresent(description, forKey: Key("description"))
        if !fields.isEmpty { try container.encode(fields, forKey: Key("fields")) }
        for (name, value) in attributes { try container.encode(value, forKey: Key(name)) }
    }
}
