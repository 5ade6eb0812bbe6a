import Foundation
import Testing

@testable import DeploymentKit

/// Holds `jobs.schema.json`, which editors read, to what the generator takes.
@Suite struct SchemaTests {
    private let schema: [String: Any]

    init() throws {
        let data = Data(try Fixture.text("jobs.schema.json").utf8)
        schema = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    @Test func knowsEveryKey() throws {
        #expect(try keys(schema) == JobsFile.keys.sorted())
        #expect(try keys(definition("environment")) == EnvironmentDefinition.keys.sorted())
        #expect(try keys(definition("customRole")) == CustomRole.keys.sorted())
        #expect(try keys(definition("job")) == JobDefinition.keys.sorted())
        #expect(try keys(definition("defaults")) == JobDefinition.defaultKeys.sorted())
    }

    @Test func forbidsOtherKeys() throws {
        for name in ["environment", "customRole", "job", "defaults"] {
            #expect(try definition(name)["additionalProperties"] as? Bool == false, "\(name)")
        }
        #expect(schema["additionalProperties"] as? Bool == false)
    }

    @Test func knowsTheEnvironmentsOfTheJobs() throws {
        let properties = try #require(schema["properties"] as? [String: [String: Any]])
        let names = try #require(properties["environments"]?["propertyNames"] as? [String: [String]])

        #expect(names["enum"] == EnvironmentDefinition.names)
    }

    @Test func theFileNamesItsSchema() throws {
        #expect(try Fixture.text("jobs.yaml").hasPrefix("# yaml-language-server: $schema=jobs.schema.json\n"))
    }

    private func definition(_ name: String) throws -> [String: Any] {
        let all = try #require(schema["$defs"] as? [String: [String: Any]])
        return try #require(all[name])
    }

    private func keys(_ schema: [String: Any]) throws -> [String] {
        try #require(schema["properties"] as? [String: Any]).keys.sorted()
    }
}
