/// One key of `jobs.yaml`, declared once. How it is read, `jobs.schema.json`, its place in the Cloud Run resource and what a plan
/// calls it all follow from the declaration.
struct Field: Sendable {
    let key: String
    let form: Form
    /// The help that editors show.
    let help: String
    var isRequired = true
    /// Whether `defaults` may have it, for the jobs that do not.
    var mayBeDefault = false
    var examples: [String] = []
    var place: Place?

    /// The name in a plan: `vpc connector` for `vpc_connector`.
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
        case text(longest: Int? = nil, unit: Unit = .characters)
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
        /// The requests and bytes of one run.
        case budget
    }

    /// The unit in which Google counts the length of a text.
    enum Unit: String, Sendable {
        /// In UTF-16, which never gives fewer than any other way to count characters.
        case characters
        /// In UTF-8.
        case bytes

        func count(_ text: String) -> Int { self == .bytes ? text.utf8.count : text.utf16.count }
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

/// The values of one mapping of the file, by declared field. A value that could not be read is absent.
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
        case budget(Budget)
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

    func budget(_ key: String) -> Budget? {
        if case .budget(let budget) = found[key]?.value { budget } else { nil }
    }

    /// The value as it goes into the resource of the job.
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

/// A secret of Secret Manager, written `name`, or `name:7` for one version of it.
struct SecretReference {
    /// Secrets that do nothing without a variable, with that variable.
    static let uses = ["CA_ROOT_API_KEY": "API_SERVICE_URL"]

    let name: String
    /// A number, or `latest`.
    let version: String

    init(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        name = String(parts.first ?? "")
        version = parts.count > 1 ? String(parts[1]) : "latest"
    }

    var hasGoodVersion: Bool { version == "latest" || version.wholeMatch(of: /[1-9][0-9]{0,8}/) != nil }
}

/// Roles that a job's account has on one thing.
package struct RoleGrant: Sendable {
    /// `project`, or a dataset of `datasets`.
    package var scope: String
    var line: Int
    var roles: [Located<String>]
}

/// The form that a name must have.
struct Pattern: Sendable {
    /// Has the same meaning in Swift and in a JSON schema. The whole text must match.
    var expression: String
    /// In bytes; all letters are ASCII where the expression says so.
    var lengths: ClosedRange<Int>
    /// Continues "... must be".
    var meaning: String

    func fits(_ text: String) -> Bool {
        guard lengths.contains(text.utf8.count), let regex = try? Regex(expression) else { return false }
        return (try? regex.wholeMatch(in: text)) != nil
    }

    /// The complaint about a text that does not fit, as the value of a key.
    func complaint(_ text: String, key: String) -> String {
        let count = text.utf8.count
        return count > lengths.upperBound
            ? "\(key) has \(count) characters, and may have \(lengths.upperBound)"
            : "\(key) must be \(meaning), not \(text)"
    }

    private static let dashed = "[a-z]([a-z0-9-]*[a-z0-9])?"

    static let jobName = Pattern(
        expression: dashed, lengths: 1...63, meaning: "lowercase letters, digits and dashes, beginning with a letter")
    static let executable = Pattern(
        expression: "[A-Z][A-Za-z0-9_]*", lengths: 1...100, meaning: "the name of a target, such as OrgSyncAllJob")
    static let project = Pattern(
        expression: dashed, lengths: 6...30, meaning: "a project id: 6 to 30 lowercase letters, digits and dashes")
    static let region = Pattern(expression: dashed, lengths: 5...40, meaning: "a region, such as us-central1")
    static let bigQueryLocation = Pattern(
        expression: "[A-Za-z][A-Za-z0-9_-]*[A-Za-z0-9_]", lengths: 2...40,
        meaning: "a location, such as US or europe-west1")
    static let prefix = Pattern(
        expression: "[a-z][a-z0-9-]*-", lengths: 2...40,
        meaning: "lowercase letters, digits and dashes, with a dash at the end")
    static let images = Pattern(
        expression: "[a-z][a-z0-9./_-]*[a-z0-9./_]", lengths: 3...200,
        meaning: "a repository, such as us-central1-docker.pkg.dev/project/repository")
    static let imageTag = Pattern(
        expression: "(?!latest$)[A-Za-z0-9_][A-Za-z0-9_.-]*", lengths: 1...128,
        meaning: "a version of letters, digits, dots, dashes and underscores, other than latest")
    static let variable = Pattern(
        expression: "[A-Za-z_][A-Za-z0-9_]*", lengths: 1...200, meaning: "letters, digits and underscores")
    static let secret = Pattern(
        expression: "[A-Za-z0-9_][A-Za-z0-9_-]*", lengths: 1...255,
        meaning: "1 to 255 letters, digits, dashes and underscores")
    static let account = Pattern(
        expression: dashed, lengths: 6...30, meaning: "6 to 30 lowercase letters, digits and dashes")
    static let roleName = Pattern(
        expression: "[A-Za-z0-9_]+", lengths: 3...40, meaning: "3 to 40 letters, digits and underscores")
    static let dataset = Pattern(
        expression: "[A-Za-z0-9_]+", lengths: 1...1024, meaning: "letters, digits and underscores")
    static let permission = Pattern(
        expression: "[a-z]+\\.[A-Za-z]+\\.[A-Za-z]+", lengths: 5...200,
        meaning: "a permission, such as bigquery.tables.get")
    static let channel = Pattern(
        expression: "(?!projects/).*\\S.*|projects/[^/]+/notificationChannels/[^/\\s]+", lengths: 1...2048,
        meaning: "the display name of a notification channel, or projects/PROJECT/notificationChannels/ID")
    static let email = Pattern(
        expression: "[^@\\s]+@[^@\\s.]+(\\.[^@\\s.]+)+", lengths: 5...254, meaning: "an e-mail address")
}
