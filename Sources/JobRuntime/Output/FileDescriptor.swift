#if canImport(Glibc)
    import Glibc
#endif

/// Writes the whole text, by one write(2) where the kernel takes it at once.
/// - Returns: Whether all of it was taken.
func writeAll(_ text: String, to descriptor: Int32) -> Bool {
    var text = text
    return text.withUTF8 { bytes in
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = write(descriptor, UnsafeBufferPointer(rebasing: rest).baseAddress, rest.count)
            if written >= 0 {
                rest = rest.dropFirst(written)
            } else if errno == EAGAIN {
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&ready, 1, 1000)
            } else if errno != EINTR {
                return false
            }
        }
        return true
    }
}

/// Makes sure that standard input, output and error are something, before another file takes their numbers and gets what
/// is meant for them. A standard output that was closed becomes one that takes nothing, so that writing to it fails.
func reserveStandardDescriptors() {
    for (descriptor, access) in [(STDIN_FILENO, O_RDONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY)]
    where fcntl(descriptor, F_GETFD) == -1 {
        _ = open("/dev/null", access)
    }
}

/// The columns of the terminal behind standard error, 80 where it does not say.
func terminalWidth() -> Int {
    var size = winsize()
    return ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
}
