/// CPU and memory of a task, in the pairs that Cloud Run allows.
package struct TaskSize: Hashable, Sendable {
    package let cpu: Int
    package let mebibytes: Int

    /// Memory by CPU, in MiB. Source: Cloud Run, "Configure memory limits" and "Configure CPU limits" for jobs.
    static let allowed: [Int: ClosedRange<Int>] = [
        1: 512...4096, 2: 512...8192, 4: 2048...16_384, 6: 4096...24_576, 8: 4096...32_768,
    ]

    /// As Kubernetes writes it.
    package var memory: String { mebibytes % 1024 == 0 ? "\(mebibytes / 1024)Gi" : "\(mebibytes)Mi" }

    static let smallest = TaskSize(1, 512)

    private init(_ cpu: Int, _ mebibytes: Int) {
        self.cpu = cpu
        self.mebibytes = mebibytes
    }

    init?(cpu: Int, mebibytes: Int) {
        guard let range = Self.allowed[cpu], range.contains(mebibytes) else { return nil }
        self.init(cpu, mebibytes)
    }

    /// MiB of `512Mi` or `2Gi`.
    static func mebibytes(_ text: String) -> Int? {
        guard text.count > 2, let number = Int(text.dropLast(2)), (1...1_000_000).contains(number) else { return nil }
        switch text.suffix(2) {
        case "Mi": return number
        case "Gi": return number * 1024
        default: return nil
        }
    }
}
