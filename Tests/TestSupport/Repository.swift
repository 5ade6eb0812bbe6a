import Foundation

/// Where this repository is checked out.
package enum Repository {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardized

    package static func path(_ relative: String) -> String { root.appending(path: relative).path }
}
