#if EmbeddedWarehouse
    /// A piece of a GoogleSQL text. Comments are no tokens: they count as space.
    struct SQLToken: Hashable {
        enum Kind {
            case word, parameter, string, quotedIdentifier, symbol
        }

        var kind: Kind
        var text: String
        var followsSpace: Bool

        func isWord(_ word: String) -> Bool { kind == .word && text.uppercased() == word }
        func isSymbol(_ symbol: String) -> Bool { kind == .symbol && text == symbol }
    }
#endif
