import Foundation

/// libFuzzer has the `main` of the program and calls these two. `FUZZ_TARGET` names the target, because all of the command line is
/// libFuzzer's: https://llvm.org/docs/LibFuzzer.html#options
private let target: FuzzTarget = {
    let name = ProcessInfo.processInfo.environment["FUZZ_TARGET"] ?? ""
    guard let target = FuzzTarget(rawValue: name) else {
        print(FuzzTarget.allCases.map(\.rawValue).joined(separator: "\n"))
        exit(64)
    }
    return target
}()

@_cdecl("LLVMFuzzerInitialize")
package func initialize(_ count: UnsafeMutableRawPointer, _ arguments: UnsafeMutableRawPointer) -> CInt {
    _ = target
    return 0
}

@_cdecl("LLVMFuzzerTestOneInput")
package func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    do {
        try target.check(bytes.map { Data(bytes: $0, count: count) } ?? Data())
    } catch {
        print("VIOLATION of \(target.rawValue): \(error)")
        fflush(nil)
        abort()
    }
    return 0
}
