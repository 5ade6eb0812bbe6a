import Yams

extension JobsFileReader {
    /// The tree of the text. A key that is there twice is noted, and its second mention left out.
    func root(of yaml: String) -> Node? {
        var text = yaml
        while true {
            do {
                if let node = try compose(yaml: text) { return node }
                log.add(1, "the file is empty")
                return nil
            } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
                log.add(context.mark.line, "the key \(keys.joined(separator: ", ")) is there twice")
                guard let key = keys.first, let rest = Self.text(text, withoutSecond: key, after: context.mark) else {
                    return nil
                }
                text = rest
            } catch {
                noteSyntax(error)
                return nil
            }
        }
    }

    private func noteSyntax(_ error: any Error) {
        switch error as? YamlError {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            log.add(mark.line, "not YAML: \(problem)")
        default:
            log.add(1, "not YAML: \(error)")
        }
    }

    /// Blanks the second mention of a key, with what is indented below it; `nil` if it does not begin a line.
    private static func text(_ text: String, withoutSecond key: String, after first: Mark) -> String? {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let margin = String(repeating: " ", count: first.column - 1)
        guard let start = lines.indices.dropFirst(first.line).first(where: { lines[$0].hasPrefix("\(margin)\(key):") })
        else { return nil }
        lines[start] = ""
        for index in lines.indices.dropFirst(start + 1) {
            let line = lines[index]
            let belongs = ["\(margin) ", "\(margin)- "].contains { line.hasPrefix($0) }
            guard belongs || line.allSatisfy({ $0 == " " }) else { break }
            lines[index] = ""
        }
        return lines.joined(separator: "\n")
    }
}
