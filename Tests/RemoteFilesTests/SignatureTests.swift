import Kernels
import RemoteFiles
import TensorCore
import Testing
import TestSupport

@Suite struct SignatureTests {
  @Test("SHA-256 of published messages")
  func hashes() {
    #expect(
      SHA256.hash([]).hexadecimal
        == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(
      SHA256.hash(Array("abc".utf8)).hexadecimal
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(
      SHA256.hash(Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8))
        .hexadecimal
        == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
    #expect(
      SHA256.hash([UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000)).hexadecimal
        == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  @Test("HMAC of RFC 4231, cases 2 and 6")
  func authentication() {
    #expect(
      SHA256.authentication("what do ya want for nothing?", key: Array("Jefe".utf8)).hexadecimal
        == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    #expect(
      SHA256.authentication(
        "Test Using Larger Than Block-Size Key - Hash Key First",
        key: [UInt8](repeating: 0xAA, count: 131)
      ).hexadecimal == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
  }

  @Test("the key and the signature of get-vanilla, of Amazon's test suite of the signature")
  func vanilla() {
    // Held against aws-sig-v4-test-suite (get-vanilla.creq, .sts, .authz) as public repositories
    // repeat it; S3's own requests have a header more.
    let canonical = [
      "GET", "/", "", "host:example.amazonaws.com", "x-amz-date:20150830T123600Z", "",
      "host;x-amz-date", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ].joined(separator: "\n")
    let hash = SHA256.hash(Array(canonical.utf8)).hexadecimal
    #expect(hash == "bb579772317eb040ac9ed261061d46c1f17a8133879d6129b6e1c25292927e63")
    let scope = "20150830/us-east-1/service/aws4_request"
    let text = "AWS4-HMAC-SHA256\n20150830T123600Z\n\(scope)\n\(hash)"
    #expect(
      S3Signer.signature(of: text, scope: scope, secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
        == "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")
  }

  /// The examples of Amazon's documentation («Signature Calculations for the Authorization Header:
  /// Transferring Payload in a Single Chunk», docs.aws.amazon.com/AmazonS3/latest/API/
  /// sig-v4-header-based-auth.html), 24 May 2013. All four were held against copies of that page and
  /// against tests of other signers that cite it, on 26 November 2026.
  static let examples: [(request: HTTPRequest, signature: String)] = [
    (
      HTTPRequest(
        url: "https://examplebucket.s3.amazonaws.com/test.txt", headers: [("Range", "bytes=0-9")]),
      "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    ),
    (
      HTTPRequest(
        method: .put, url: "https://examplebucket.s3.amazonaws.com/test%24file.text",
        headers: [
          ("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ], body: Array("Welcome to Amazon S3.".utf8)),
      "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
    ),
    (
      HTTPRequest(url: "https://examplebucket.s3.amazonaws.com/?lifecycle="),
      "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
    ),
    (
      HTTPRequest(url: "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J"),
      "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
    ),
  ]

  @Test("signatures of published requests", arguments: examples.indices)
  func signatures(_ number: Int) throws {
    let signer = S3Signer(
      credentials: S3Credentials(
        key: "AKIAIOSFODNN7EXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
      region: "us-east-1")
    var request = Self.examples[number].request
    signer.sign(&request, at: 1_369_353_600)
    let header = try #require(request.headers.first { $0.name == "Authorization" })
    #expect(header.value.hasSuffix("Signature=\(Self.examples[number].signature)"))
  }

  @Test("where an object is")
  func places() throws {
    func url(_ text: String, _ endpoint: String? = nil, _ variables: [String: String] = [:]) throws
      -> String
    {
      var options = RemoteOptions()
      options.environment = variables
      options.endpoint = endpoint
      return try S3Object(#require(RemoteAddress(text)), options).url
    }
    #expect(try url("s3://b/k/x.diff") == "https://b.s3.us-east-1.amazonaws.com/k/x.diff")
    #expect(
      try url("s3://b.c/k", nil, ["AWS_REGION": "eu-west-3"])
        == "https://s3.eu-west-3.amazonaws.com/b.c/k")
    #expect(
      try url("s3://b/ä +%/x", "http://localhost:9") == "http://localhost:9/b/%C3%A4%20%2B%25/x")
    #expect(try url("s3://b/k", nil, ["AWS_ENDPOINT_URL": "http://h/"]) == "http://h/b/k")
    // The usual port is not sent to the server, so it is not signed either.
    #expect(try url("s3://b/k", "http://h:80") == "http://h/b/k")
    #expect(try url("s3://b/k", "https://h:443/x/") == "https://h/x/b/k")
    #expect(try url("s3://b/k", "http://h:443") == "http://h:443/b/k")
    #expect(try url("s3://b/k", "http://[::1]:80") == "http://[::1]/b/k")
    let faults: [(String, String?)] = [
      ("s3://b", nil), ("s3://b/", nil), ("s3:///k", nil), ("s3://b@c/k", nil),
      ("s3://b/k", "ftp://x"), ("s3://b/k", "http://x?y"),
    ]
    for (text, endpoint) in faults {
      #expect(throws: (any Error).self) { try url(text, endpoint) }
    }
  }

  @Test("what a message says of an address is no secret")
  func descriptions() throws {
    let address = try #require(RemoteAddress("HTTPS://me:secret@h:1/p/x.diff?token=secret#secret"))
    #expect("\(address)" == "https://h:1/p/x.diff")
    #expect(RemoteAddress("file:///etc/passwd") == nil)
    #expect(RemoteAddress("httpx://h") == nil)
    #expect(RemoteAddress("./http://x") == nil)
  }
}
