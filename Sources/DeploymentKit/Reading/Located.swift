/// A value and the line that it was read from.
package struct Located<Value> {
    package var value: Value
    package var line: Int

    package init(_ value: Value, line: Int) {
        self.value = value
        self.line = line
    }

    func map<Other>(_ transform: (Value) -> Other) -> Located<Other> {
        Located<Other>(transform(value), line: line)
    }
}

extension Located: Sendable where Value: Sendable {}
