/// Holds `jobs.yaml` and the executables of the package to each other.
package struct TargetRules {
    package init() {}

    /// - Parameter manifest: the text of `Package.swift`, where an executable of a job is a line `job("OrgSyncAllJob")`.
    package func problems(_ file: JobsFile, manifest: String) -> [Problem] {
        let targets = self.targets(manifest)
        let known = file.jobs.filter { Pattern.executable.fits($0.executable.value) }
        let missing = known.filter { job in !targets.contains { $0.value == job.executable.value } }.map {
            Problem(
                line: $0.executable.line,
                message: "job \($0.name): Package.swift has no line job(\"\($0.executable.value)\")")
        }
        // Without any job that is said already.
        let wanted = file.jobs.isEmpty ? [] : targets
        let unused = wanted.filter { target in !file.jobs.contains { $0.executable.value == target.value } }.map {
            Problem(file: "Package.swift", line: $0.line, message: "no job of jobs.yaml has the executable \($0.value)")
        }
        return missing + unused
    }

    private func targets(_ manifest: String) -> [Located<String>] {
        manifest.split(separator: "\n", omittingEmptySubsequences: false).enumerated().compactMap { index, line in
            let code = line.drop { $0 == " " }
            guard code.hasPrefix("job(\"") else { return nil }
            return Located(String(code.dropFirst(5).prefix { $0 != "\"" }), line: index + 1)
        }
    }
}
