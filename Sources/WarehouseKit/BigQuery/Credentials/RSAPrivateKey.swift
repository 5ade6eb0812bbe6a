import COpenSSL
import FoundationEssentials

/// An RSA key that signs, held by OpenSSL.
///
/// Unchecked: the key is never changed after it is read, and each signature has a context of its own.
final class RSAPrivateKey: @unchecked Sendable {
    enum Failure: Error {
        case notPEM
        case encrypted
        case notRSA
        case signing
    }

    private let key: OpaquePointer

    /// Reads PKCS #8 (`PRIVATE KEY`) and PKCS #1 (`RSA PRIVATE KEY`).
    init(pem: String) throws(Failure) {
        // What fails here must not stay in this thread's error queue, where libcurl's TLS would find it.
        defer { ERR_clear_error() }
        guard !pem.contains("ENCRYPTED") else { throw .encrypted }
        var text = pem
        let read = text.withUTF8 { bytes -> OpaquePointer? in
            guard let source = BIO_new_mem_buf(bytes.baseAddress, Int32(clamping: bytes.count)) else { return nil }
            defer { BIO_free(source) }
            // Without a callback OpenSSL would ask for a pass phrase on the terminal.
            return PEM_read_bio_PrivateKey(source, nil, { _, _, _, _ in -1 }, nil)
        }
        guard let read else { throw .notPEM }
        guard EVP_PKEY_get_base_id(read) == EVP_PKEY_RSA else {
            EVP_PKEY_free(read)
            throw .notRSA
        }
        key = read
    }

    deinit { EVP_PKEY_free(key) }

    /// RSASSA-PKCS1-v1_5 with SHA-256: the `RS256` of JSON Web Tokens.
    func signature(of message: Data) throws(Failure) -> Data {
        defer { ERR_clear_error() }
        guard let context = EVP_MD_CTX_new() else { throw .signing }
        defer { EVP_MD_CTX_free(context) }
        guard EVP_DigestSignInit(context, nil, EVP_sha256(), nil, key) == 1 else { throw .signing }
        let bytes = [UInt8](message)
        var length = 0
        guard EVP_DigestSign(context, nil, &length, bytes, bytes.count) == 1 else { throw .signing }
        var signature = [UInt8](repeating: 0, count: length)
        guard EVP_DigestSign(context, &signature, &length, bytes, bytes.count) == 1 else { throw .signing }
        return Data(signature.prefix(length))
    }
}
