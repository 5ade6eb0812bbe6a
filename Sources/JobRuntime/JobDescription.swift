import ArgumentParser
import FoundationEssentials

/// The description of a job: the sections of `--help` that follow the options, and all of `--describe`.
///
/// The facts come from the job type and from its settings, which declare their variables by reading them.
struct JobDescription<Job: ScheduledJob> {
    let variables: [Variable]
    /// The problems of the environment. A missing secret is not among them.
    let problems: [EnvironmentReader.Problem]
    let scheduleNeed: ScheduleNeed?

    init(environment: [String: String]) {
        var reader = EnvironmentReader(environment)
        reader.needsSecrets = false
        _ = RuntimeSettings(reading: &reader, isExclusive: Job.isExclusive)
        let settings = Job.Settings(reading: &reader)
        variables = reader.declarations
        problems = reader.findings
        scheduleNeed = Job.scheduleNeed(settings)
    }

    /// The variables and the exit codes, for people.
    func helpSections(columns: Int) -> String {
        let sections = [("ENVIRONMENT OF THIS JOB", Variable.Scope.job), ("ENVIRONMENT OF EVERY JOB", .everyJob)].map {
            title, scope in
            var lines = ["\(title):"]
            // Variables with the same help text are listed together.
            for variable in variables where variable.scope == scope {
                let alike = variables.filter { $0.scope == scope && $0.help == variable.help }
                guard alike.first == variable else { continue }
                lines.append("  " + alike.map(\.name).joined(separator: ", "))
                lines.append(
                    indented(alike.count > 1 ? variable.help : variable.explanation, by: 6, columns: columns))
            }
            return lines.joined(separator: "\n")
        }
        let codes = JobExitCode.allCases.map { code in
            "  " + (code.rawValue < 10 ? " " : "") + "\(code.rawValue)  \(code.meaning)"
        }
        return (sections + [(["EXIT CODES:"] + codes).joined(separator: "\n")]).joined(separator: "\n\n")
    }

    var json: JSONValue {
        .object([
            ("name", .string(Job.name)), ("executable", .string(String(describing: Job.self))),
            ("version", .string(serviceVersion)), ("purpose", .string(Job.purpose)),
            ("exclusive", .bool(Job.isExclusive)), ("variables", .array(variables.map(Self.json))),
            ("options", .array(Self.options)),
            (
                "exit_codes",
                .array(
                    JobExitCode.allCases.map {
                        .object([("code", .integer(Int($0.rawValue))), ("meaning", .string($0.meaning))])
                    })
            ),
            ("schedule", scheduleNeed.map(Self.json(of:)) ?? .null),
            (
                "problems",
                .array(
                    problems.map {
                        .object([
                            ("variables", .array($0.variables.map { .string($0) })), ("problem", .string($0.text)),
                        ])
                    })
            ),
        ])
    }

    private static func json(of need: ScheduleNeed) -> JSONValue {
        let rule: (String, JSONValue) =
            switch need.rule {
            case .everyDay: ("rule", .string("every_day"))
            case .firstOfEveryMonth: ("rule", .string("first_of_every_month"))
            case .pause(let longest): ("longest_pause_seconds", .integer(Int(longest.components.seconds)))
            }
        return .object([rule, ("because", .string(need.reason))])
    }

    private static func json(of variable: Variable) -> JSONValue {
        var members: [(key: String, value: JSONValue)] = [
            ("name", .string(variable.name)), ("help", .string(variable.help)),
        ]
        switch variable.kind {
        case .text: members.append(("type", .string("text")))
        case .boolean: members.append(("type", .string("boolean")))
        case .integer(let range):
            members += [
                ("type", .string("integer")), ("minimum", .integer(range.lowerBound)),
                ("maximum", .integer(range.upperBound)),
            ]
        case .choice(let words):
            members += [("type", .string("choice")), ("values", .array(words.map { .string($0) }))]
        }
        if let fallback = variable.fallback { members.append(("default", .string(fallback))) }
        members += [
            ("required", .bool(variable.isRequired)), ("secret", .bool(variable.isSecret)),
            ("scope", .string(variable.scope.rawValue)),
        ]
        return .object(JSONObject(members))
    }

    /// The options, from the parser's own description.
    private static var options: [JSONValue] {
        let dump = try? JSONDecoder().decode(Dump.self, from: Data(JobCommand<Job>._dumpHelp().utf8))
        return (dump?.command.arguments ?? []).compactMap { argument in
            guard let name = argument.names?.first(where: { $0.kind == "long" }) else { return nil }
            var members: [(key: String, value: JSONValue)] = [("name", .string("--\(name.name)"))]
            if argument.kind == "option" { members.append(("value", .string(argument.valueName ?? name.name))) }
            members.append(("help", .string(argument.abstract ?? "")))
            return .object(JSONObject(members))
        }
    }
}

/// The part of the parser's own description that `--describe` needs.
private struct Dump: Decodable {
    struct Argument: Decodable {
        struct Name: Decodable {
            var kind: String
            var name: String
        }

        var names: [Name]?
        var valueName: String?
        var kind: String
        var abstract: String?
    }
    struct Command: Decodable {
        var arguments: [Argument]?
    }

    var command: Command
}

/// The text in lines of at most so many columns, all of them indented.
private func indented(_ text: String, by indent: Int, columns: Int) -> String {
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ") {
        if !line.isEmpty, indent + line.count + 1 + word.count > columns {
            lines.append(line)
            line = ""
        }
        line += (line.isEmpty ? "" : " ") + word
    }
    lines.append(line)
    return lines.map { String(repeating: " ", count: indent) + $0 }.joined(separator: "\n")
}
