import COpenSSL
import Foundation

/// A private key made for this run of the tests, as PEM, and the check of what it signs.
final class TestKey: @unchecked Sendable {
    static let rsa = TestKey(EVP_PKEY_RSA)
    static let ellipticCurve = TestKey(EVP_PKEY_EC)

    private let key: OpaquePointer

    private init(_ type: Int32) {
        let context = EVP_PKEY_CTX_new_id(type, nil)
        defer { EVP_PKEY_CTX_free(context) }
        precondition(EVP_PKEY_keygen_init(context) == 1)
        if type == EVP_PKEY_RSA { precondition(EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048) == 1) }
        if type == EVP_PKEY_EC {
            precondition(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) == 1)
        }
        var key: OpaquePointer?
        precondition(EVP_PKEY_keygen(context, &key) == 1)
        self.key = key!
    }

    /// PKCS #8, as in a service account's key file.
    var pem: String { text { PEM_write_bio_PKCS8PrivateKey($0, self.key, nil, nil, 0, nil, nil) } }

    /// PKCS #1, the older form.
    var traditionalPEM: String {
        text { PEM_write_bio_PrivateKey_traditional($0, self.key, nil, nil, 0, nil, nil) }
    }

    var encryptedPEM: String {
        let phrase = Array("open sesame".utf8CString)
        return text { PEM_write_bio_PKCS8PrivateKey($0, self.key, EVP_aes_256_cbc(), phrase, 11, nil, nil) }
    }

    var publicPEM: String { text { PEM_write_bio_PUBKEY($0, self.key) } }

    /// Whether OpenSSL takes it for an RS256 signature of the message by this key.
    func verifies(_ signature: Data, of message: String) -> Bool {
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        guard EVP_DigestVerifyInit(context, nil, EVP_sha256(), nil, key) == 1 else { return false }
        let bytes = Array(message.utf8)
        return EVP_DigestVerify(context, Array(signature), signature.count, bytes, bytes.count) == 1
    }

    private func text(_ write: (OpaquePointer?) -> Int32) -> String {
        let sink = BIO_new(BIO_s_mem())
        defer { BIO_free(sink) }
        precondition(write(sink) == 1)
        var buffer = [CChar](repeating: 0, count: 16_384)
        let count = BIO_read(sink, &buffer, Int32(buffer.count))
        return String(decoding: buffer.prefix(Int(count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
