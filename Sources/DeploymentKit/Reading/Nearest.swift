/// The word that was probably meant: at most two edits away, and fewer than half of its letters.
func nearest(_ word: String, in words: some Sequence<String>) -> String? {
    let close = words.map { (word: $0, edits: edits(Array(word.utf8), Array($0.utf8))) }
    let best = close.min { ($0.edits, $0.word) < ($1.edits, $1.word) }
    return best.flatMap { $0.edits <= 2 && $0.edits * 2 < $0.word.utf8.count ? $0.word : nil }
}

/// Insertions, deletions and substitutions that turn one word into the other.
private func edits(_ from: [UInt8], _ to: [UInt8]) -> Int {
    var row = Array(0...to.count)
    for (i, letter) in from.enumerated() {
        var previous = row[0]
        row[0] = i + 1
        for (j, other) in to.enumerated() {
            let substituted = previous + (letter == other ? 0 : 1)
            previous = row[j + 1]
            row[j + 1] = min(substituted, row[j] + 1, row[j + 1] + 1)
        }
    }
    return row[to.count]
}
