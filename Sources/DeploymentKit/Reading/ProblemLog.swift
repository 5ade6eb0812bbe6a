/// Where the problems of one reading come together, so that reading can go on after the first.
final class ProblemLog {
    private(set) var problems: [Problem] = []

    func add(_ line: Int, _ message: String) { add(Problem(line: line, message: message)) }

    func add(_ problem: Problem) { problems.append(problem) }
}
