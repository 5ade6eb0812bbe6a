import Foundation
import HTTPTransport
import Warehouse
import WarehouseKit

@testable import BigQueryWarehouse

/// A name that was accepted is safe where it is written: in SQL, in a URL, in a label.
enum NameProperties {
    private static let word = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_".unicodeScalars)

    static func check(_ input: Data) throws {
        let text = String(decoding: input, as: UTF8.self)
        try slug(text)
        if let dataset = DatasetID(text) {
            try isWord(dataset.name, upTo: 1024)
            if let table = TableReference(dataset, text) {
                try hold(table.sql == "`\(text).\(text)`" && percentEncoded(table.table) == text, table.sql)
            }
        }
        if let project = ProjectID(text) {
            try hold(percentEncoded(project.name) == text && text.lowercased() == text, "the project \(text)")
            try hold((6...30).contains(text.unicodeScalars.count), "the project \(text)")
        }
        try column(text)
        try url(text)
        if isLabelValue(text) { try isWord(text.replacing("-", with: "_"), upTo: 63) }
        _ = HTTPResponse(status: 429, headers: ["Retry-After": text])
            .retryAfter(now: Date(timeIntervalSince1970: 1_800_000_000))
    }

    private static func slug(_ text: String) throws {
        guard Organization.isValid(slug: text) else { return }
        try isWord(text, upTo: 128)
        for environment in DeploymentEnvironment.allCases {
            let name = "\(text)_\(environment.rawValue)"
            try hold(DatasetID(name)?.name == name && percentEncoded(name) == name, "the dataset of \(text)")
        }
    }

    /// A quoted name is one token: nothing in it ends the quotes.
    private static func column(_ text: String) throws {
        guard ColumnName.problem(with: text) == nil else { return }
        let quoted = ColumnName.quoted(text)
        let characters = Array(quoted.unicodeScalars)
        try hold(SQLLiteral.length(of: characters[...]) == characters.count, "the quotes of \(quoted)")
        try hold(!text.unicodeScalars.contains { $0.value < 0x20 || $0 == "`" || $0 == "\\" }, "the column \(quoted)")
        if ColumnName.isPlain(text) { try isWord(text, upTo: 300) }
    }

    private static func url(_ text: String) throws {
        guard let url = try? HTTPURL(text) else { return }
        try hold(!url.host.isEmpty && text.hasPrefix("\(url.scheme)://"), "the URL \(text)")
        try hold(!url.host.contains { "@/?#\\ ".contains($0) }, "the host of \(text)")
        try hold(try HTTPURL(url.shown).host == url.host, "the shown form of \(text)")
    }

    private static func isWord(_ text: String, upTo length: Int) throws {
        try hold(
            (1...length).contains(text.unicodeScalars.count) && text.unicodeScalars.allSatisfy(word.contains),
            "the name \(text)")
    }
}
