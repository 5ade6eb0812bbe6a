/// Where the problems of one reading come together, so that reading can go on after the first.
final class ProblemLog {
    private(set) var problems: [Problem] = []

    func add(_ line: Int, _ message: String) {
        problems.append(Problem(line: line, message: message))
    }
}
