import PlainHTTP
import Testing

struct HTTPAddressTests {
  @Test(
    arguments: [
      ("127.0.0.1:9817", true), ("127.1.2.3:1", true), ("[::1]:65535", true),
      ("0.0.0.0:9817", false), ("[::]:9817", false), ("10.2.3.4:80", false),
    ])
  func `an address is read again`(text: String, isLoopback: Bool) throws {
    let address = try #require(HTTPAddress(text))
    #expect(address.description == text)
    #expect(address.isLoopback == isLoopback)
  }

  @Test(arguments: [
    "", ":", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:+80",
    "127.0.0.1:80 ", "localhost:80", "::1:80", "[::1]", "[::1:80", "[127.0.0.1]:80", "[]:80",
    "127.0.0.1:٨٠", "127.0.0.1\0:80", "256.0.0.1:80",
  ])
  func `other texts are not addresses`(text: String) {
    #expect(HTTPAddress(text) == nil)
  }
}
