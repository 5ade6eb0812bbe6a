/// Rows under a header in aligned columns; a column of numbers is aligned to the right.
struct TextTable {
    let header: [String]
    let rows: [[String]]

    var lines: [String] {
        let cells = ([header] + rows).map { row in header.indices.map { $0 < row.count ? printable(row[$0]) : "" } }
        let widths = header.indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
        let isNumeric = header.indices.map { column in
            !rows.isEmpty
                && cells.dropFirst().allSatisfy { !$0[column].isEmpty && $0[column].utf8.allSatisfy { 48...57 ~= $0 } }
        }
        return cells.map { row in
            var line = row.indices.map { column in
                let padding = String(repeating: " ", count: widths[column] - row[column].count)
                return isNumeric[column] ? padding + row[column] : row[column] + padding
            }.joined(separator: "  ")
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}
