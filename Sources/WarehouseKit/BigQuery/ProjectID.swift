/// A Google Cloud project id: 6 to 30 lower-case letters, digits and hyphens, beginning with a letter and not ending with a
/// hyphen. https://cloud.google.com/resource-manager/docs/creating-managing-projects
package struct ProjectID: Hashable, Sendable, CustomStringConvertible {
    package let name: String

    package init?(_ name: String) {
        let bytes = Array(name.utf8)
        let letters = UInt8(ascii: "a")...UInt8(ascii: "z")
        guard (6...30).contains(bytes.count), letters.contains(bytes[0]), bytes.last != UInt8(ascii: "-"),
            bytes.allSatisfy({ letters.contains($0) || $0.isDigit || $0 == UInt8(ascii: "-") })
        else { return nil }
        self.name = name
    }

    package var description: String { name }
}
