import HoldfastCore
import HoldfastReservoir
import HoldfastTestKit
import Testing

@testable import HoldfastService

/// Random configurations, requests over HTTP and reports of other processes.
struct FuzzTests {
  @Test func `configurations are read, or refused with their line`() {
    var fuzz = Fuzz(
      "configurations",
      like: [
        """
        [reservoir]
        mount = /dev/hugepages
        interval = 0.5
        priority = idle
        [level]
        files = 4x10G
        node = 1
        [level]
        files = 65536x16777215T
        """,
        "[collect]\ninterval = 2m\nverify = on\nolder-than = 10000d\n[level]\nfiles = 2M # x\n",
        "\u{FEFF}[socket]\r\npath = /run/x\r\nmode = 0620\r\ngroup = 100\r\n[level]\r\nfiles=1x2M",
        "[limits]\nbytes = 64G\nfiles = 16\nrequests = 2\n[metrics]\nlisten = [::1]:9816\n",
        "[fill]\nthreads = 2\nrate = 1.5G\n[metrics]\ntextfile = /x.prom\n[level]\nfiles = 1x2M",
      ])
    fuzz.texts { text in
      do throws(HoldfastError) {
        let read = try ServiceConfiguration(text, file: "f")
        #expect(!read.levels.isEmpty)
        for level in read.levels {
          let bytes = level.size.rawValue.multipliedReportingOverflow(by: UInt64(level.count))
          #expect(level.count > 0 && !bytes.overflow)
        }
      } catch {
        #expect(error.code == .invalidArgument && error.reason.hasPrefix("f:"), "\(error)")
      }
    }
  }

  @Test func `requests over HTTP`() {
    var fuzz = Fuzz(
      "HTTP",
      like: [
        "GET /metrics HTTP/1.1\r\nHost: localhost:9816\r\nAccept: */*\r\n\r\n",
        "HEAD /healthz HTTP/1.0\r\n\r\n",
        "GET /?<script>=%00 HTTP/1.1\r\nHost: 127.0.0.1:1\r\nReferer: http://x/\r\n\r\n",
        "GET http://[::1]:1/metrics HTTP/1.1\r\nHost: [::1]\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551616\r\n\r\n",
      ])
    for _ in 0..<Fuzz.cases {
      let bytes = fuzz.bytes()
      _ = HTTPRequest.read(bytes)
      _ = HTTPRequest.isThisHost(String(decoding: bytes, as: UTF8.self))
    }
  }

  @Test func `reports of other processes are counted without overflow`() {
    var fuzz = Fuzz(
      "events",
      like: [
        "HOLDFAST=1\nOPERATION=lease\nBYTES=1000000000000000000\nNANOSECONDS=1\nWAITED=0",
        "HOLDFAST=1\nOPERATION=fill\nBYTES=0\nNANOSECONDS=1000000000000000000\nWAITED=7"
          + "\nFAILURE=noSpace",
        ReservoirEvent(.release, size: ByteCount(.max), duration: .seconds(1e19)).message,
        ReservoirEvent(.recycle, failure: .busy).message,
      ])
    var metrics = ServiceMetrics()
    for _ in 0..<Fuzz.cases {
      guard let event = ReservoirEvent(message: fuzz.text()) else { continue }
      #expect(event.size <= ByteCount(1_000_000_000_000_000_000))
      for _ in 0..<20 { metrics.count(event) }
      #expect(ReservoirEvent(message: event.message) == event)
    }
  }
}
