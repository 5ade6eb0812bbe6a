/// One key of `jobs.yaml`, declared once. How it is read, `jobs.schema.json`, its place in the Cloud Run resource and what a plan
/// calls it all follow from the declaration.
struct Field: Sendable {
    let key: String
    let form: Form
    /// What editors show.
    let help: String
    var isRequired = true
    /// Whether `defaults` may have it, for the jobs that do not.
    var mayBeDefault = false
    var examples: [String] = []
    var place: Place?

    /// What a plan calls it: `vpc connector` for `vpc_connector`.
    var words: String { key.replacing("_", with: " ") }

    init(
        _ key: String, _ form: Form, _ help: String, isRequired: Bool = true, mayBeDefault: Bool = false,
        examples: [String] = [], place: Place? = nil
    ) {
        self.key = key
        self.form = form
        self.help = help
        self.isRequired = isRequired
        self.mayBeDefault = mayBeDefault
        self.examples = examples
        self.place = place
    }

    /// How the value of a key is written.
    enum Form: Sendable {
        case text(longest: Int? = nil)
        case name(Pattern)
        case integer(ClosedRange<Int>)
        case flag
        /// Whole seconds, written `90s`, `10m` or `2h`.
        case seconds(ClosedRange<Int>)
        case cpu
        case memory
        /// Five fields of cron, or `manual`.
        case schedule
        case timeZone
        case list(of: Pattern? = nil)
        /// Names of environment variables and a text for each.
        case variables
        /// A list of roles for the project and for each dataset.
        case roles
    }

    /// Where a value goes in the resource of the job.
    struct Place: Sendable {
        enum Part: String, Sendable {
            case annotation = "/spec/template/metadata/annotations"
            case execution = "/spec/template/spec"
            case task = "/spec/template/spec/template/spec"
            case limit = "/spec/template/spec/template/spec/containers/0/resources/limits"
        }

        let part: Part
        let key: String

        static func annotation(_ key: String) -> Place { Place(part: .annotation, key: key) }

        static func execution(_ key: String) -> Place { Place(part: .execution, key: key) }

        static func task(_ key: String) -> Place { Place(part: .task, key: key) }

        static func limit(_ key: String) -> Place { Place(part: .limit, key: key) }

        /// A JSON pointer (RFC 6901) into the resource.
        var pointer: String { "\(part.rawValue)/\(key.replacing("~", with: "~0").replacing("/", with: "~1"))" }
    }
}

/// What one mapping of the file has for the fields that were declared for it. Values that could not be read are absent.
struct FieldValues: Sendable {
    enum Value: Sendable {
        case text(String)
        case integer(Int)
        case flag(Bool)
        /// `nil` for a manual job.
        case schedule(Cron?)
        case list([Located<String>])
        case variables([Variable])
        case roles([RoleGrant])
    }

    var line: Int
    var found: [String: Located<Value>] = [:]

    func lineOf(_ key: String) -> Int { found[key]?.line ?? line }

    func text(_ key: String) -> String? {
        if case .text(let text) = found[key]?.value { text } else { nil }
    }

    func integer(_ key: String) -> Int? {
        if case .integer(let number) = found[key]?.value { number } else { nil }
    }

    func flag(_ key: String) -> Bool? {
        if case .flag(let flag) = found[key]?.value { flag } else { nil }
    }

    /// A schedule that cannot be read counts as one that there is.
    func schedule(_ key: String) -> Cron? {
        if case .schedule(let cron) = found[key]?.value { cron } else { try? Cron("0 0 * * *") }
    }

    func list(_ key: String) -> [Located<String>] {
        if case .list(let list) = found[key]?.value { list } else { [] }
    }

    func variables(_ key: String) -> [Variable] {
        if case .variables(let variables) = found[key]?.value { variables } else { [] }
    }

    func roles(_ key: String) -> [RoleGrant] {
        if case .roles(let roles) = found[key]?.value { roles } else { [] }
    }

    /// What goes into the resource of the job.
    func document(_ key: String) -> Document? {
        switch found[key]?.value {
        case .text(let text): .string(text)
        case .integer(let number): .integer(number)
        default: nil
        }
    }
}

/// A name and its text in a mapping whose keys are free: a variable and its value, a variable and its secret, a dataset and its
/// description.
package struct Variable: Sendable {
    package var name: String
    package var value: String
    package var line: Int
}

/// Roles that a job's account has on one thing.
package struct RoleGrant: Sendable {
    /// `project`, or a dataset of `datasets`.
    package var scope: String
    var line: Int
    var roles: [Located<String>]
}
