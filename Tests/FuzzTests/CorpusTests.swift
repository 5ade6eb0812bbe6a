import Foundation
import Testing

/// The committed inputs of the fuzz targets: seeds, and the inputs that once showed a fault.
@Suite struct CorpusTests {
    private static let corpus = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Corpus")

    @Test(arguments: FuzzTarget.allCases)
    func everyInputKeepsTheProperties(_ target: FuzzTarget) throws {
        let folder = Self.corpus.appending(path: target.rawValue)
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)

        try #require(files.count >= 5)
        for file in files {
            #expect(throws: Never.self, "\(target.rawValue)/\(file.lastPathComponent)") {
                try target.check(try Data(contentsOf: file))
            }
        }
    }

    /// Each input is cut off at 20 places, which leads to the errors.
    @Test(arguments: FuzzTarget.allCases)
    func everyInputThatIsCutOffKeepsTheProperties(_ target: FuzzTarget) throws {
        let folder = Self.corpus.appending(path: target.rawValue)
        for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil) {
            let input = try Data(contentsOf: file)
            for part in 0..<20 {
                let cut = input.prefix(input.count * part / 20)
                #expect(throws: Never.self, "\(cut.count) bytes of \(target.rawValue)/\(file.lastPathComponent)") {
                    try target.check(Data(cut))
                }
            }
        }
    }

    @Test func everyFolderBelongsToATarget() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: Self.corpus.path)

        #expect(Set(folders) == Set(FuzzTarget.allCases.map(\.rawValue)))
    }
}
