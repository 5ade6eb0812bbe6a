import Yams

extension Section {
    func text(_ key: String) -> Located<String>? {
        required(key).flatMap { text(of: $0, key) }
    }

    func optionalText(_ key: String) -> Located<String>? {
        node(key).flatMap { text(of: $0, key) }
    }

    func integer(_ key: String, in range: ClosedRange<Int>) -> Int? {
        guard let text = text(key) else { return nil }
        guard let number = Int(text.value), range.contains(number) else {
            note(
                key, "\(key) must be a whole number from \(range.lowerBound) to \(range.upperBound), not \(text.value)")
            return nil
        }
        return number
    }

    func flag(_ key: String, default absent: Bool? = nil) -> Bool? {
        if let absent, node(key) == nil { return absent }
        guard let text = text(key) else { return nil }
        guard ["true", "false"].contains(text.value) else {
            note(key, "\(key) must be true or false, not \(text.value)")
            return nil
        }
        return text.value == "true"
    }

    /// Whole seconds, written `90s`, `10m` or `2h`.
    func seconds(_ key: String, in range: ClosedRange<Int>) -> Int? {
        guard let text = text(key) else { return nil }
        let factors: [Character: Int] = ["s": 1, "m": 60, "h": 3600]
        guard let factor = text.value.last.flatMap({ factors[$0] }), let number = Int(text.value.dropLast()), number > 0
        else {
            note(key, "\(key) must be a number and a unit, such as 90s, 10m or 2h, not \(text.value)")
            return nil
        }
        let (product, overflow) = number.multipliedReportingOverflow(by: factor)
        guard !overflow, range.contains(product) else {
            let bounds = "from \(Self.spoken(range.lowerBound)) to \(Self.spoken(range.upperBound))"
            note(key, "\(key) must be \(bounds), not \(text.value)")
            return nil
        }
        return product
    }

    /// An absent list is empty.
    func list(_ key: String) -> [Located<String>] {
        guard let found = node(key) else { return [] }
        guard case .sequence(let sequence) = found.value else {
            note(key, "\(key) must be a list")
            return []
        }
        return sequence.compactMap { text(of: Located($0, line: $0.line), "an item of \(key)") }
    }

    /// Names and their texts in the order of the file; an absent map is empty.
    func map(_ key: String) -> [(name: String, text: Located<String>)] {
        guard let section = section(key) else { return [] }
        return section.keys.compactMap { name in section.text(name).map { (name, $0) } }
    }

    /// The keys under a key, which are free.
    func section(_ key: String) -> Section? {
        node(key).flatMap { Section($0.value, "\(owner(of: key)), \(key)", keys: nil, log: log) }
    }

    private func text(of found: Located<Node>, _ key: String) -> Located<String>? {
        guard case .scalar(let scalar) = found.value, !scalar.string.isEmpty else {
            log.add(found.line, "\(name): \(key) must be a word or a number")
            return nil
        }
        return Located(scalar.string, line: found.line)
    }

    private static func spoken(_ seconds: Int) -> String {
        if seconds % 3600 == 0 { return "\(seconds / 3600)h" }
        return seconds % 60 == 0 ? "\(seconds / 60)m" : "\(seconds)s"
    }
}
