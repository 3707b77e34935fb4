import Foundation
import Testing

/// The metrics of `holdfast reservoir serve`.
struct ServeMetricsTests {
  private let served: ServedPlace

  init() throws { served = try ServedPlace() }

  /// Parses the exposition format as a collector does, and fails where it is invalid.
  private func parse(_ text: String) throws -> [String: Double] {
    var kinds: [String: String] = [:]
    var helped: Set<String> = []
    var samples: [String: Double] = [:]
    var last = ""
    try #require(text.hasSuffix("\n"))
    for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
      if let match = line.wholeMatch(of: /# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) .+/) {
        try #require(helped.insert(String(match.1)).inserted, "\(line)")
      } else if let match = line.wholeMatch(
        of: /# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (gauge|counter|histogram)/)
      {
        try #require(kinds.updateValue(String(match.2), forKey: String(match.1)) == nil, "\(line)")
        last = String(match.1)
      } else {
        let match = try #require(
          line.wholeMatch(
            of: /([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[a-z_]+="[^"\\\n]*"(,[a-z_]+="[^"\\\n]*")*\})? (\S+)/
          ), "\(line)")
        let isHistogram = kinds[last] == "histogram"
        let names = isHistogram ? ["_bucket", "_sum", "_count"].map { last + $0 } : [last]
        try #require(names.contains(String(match.1)), "\(line) is not of \(last)")
        let key = String(match.1) + String(match.2 ?? "")
        let value = try #require(Double(match.4), "\(line)")
        try #require(samples.updateValue(value, forKey: key) == nil, "\(key) comes twice")
        if kinds[last] == "counter" { try #require(last.hasSuffix("_total"), "\(last)") }
      }
    }
    #expect(helped == Set(kinds.keys))
    for (name, kind) in kinds where kind == "histogram" {
      var before = 0.0
      for line in text.split(separator: "\n") where line.hasPrefix(name + "_bucket") {
        let value = try #require(Double(line.split(separator: " ")[1]))
        #expect(value >= before, "\(line)")
        before = value
      }
      #expect(samples[name + "_bucket{le=\"+Inf\"}"] == samples[name + "_count"])
    }
    return samples
  }

  private func page() throws -> [String: Double] {
    let answer = try served.ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    let end = try #require(answer.range(of: "\r\n\r\n"))
    let head = answer[..<end.lowerBound]
    let body = String(answer[end.upperBound...])
    #expect(head.hasPrefix("HTTP/1.1 200 OK\r\n"))
    #expect(head.contains("Content-Type: text/plain; version=0.0.4"))
    #expect(head.contains("Content-Length: \(body.utf8.count)\r\n"))
    return try parse(body)
  }

  @Test func overHTTP() throws {
    try served.configure(
      "[level]\nfiles = 2x4M\n[collect]\ninterval = 0.1\nreuse = scrub\n"
        + "[metrics]\nlisten = 127.0.0.1:0\n")
    try served.start()
    try served.until("first") { served.ready.count == 2 }
    let prefix = "holdfast_reservoir_"
    func success(_ operation: String) -> String {
      "\(prefix)last_success_timestamp_seconds{operation=\"\(operation)\"}"
    }
    try served.until("counted") {
      let page = try page()
      return page[prefix + "fill_seconds_count"] == 2
        && ["status", "fill", "collect"].allSatisfy { page[success($0)] != nil }
    }
    let bytes = 4 << 20
    let first = try page()
    let file = "{state=\"ready\",size_bytes=\"\(bytes)\",node=\"any\"}"
    #expect(first[prefix + "up"] == 1)
    #expect(first[prefix + "files" + file] == 2)
    #expect(first[prefix + "bytes" + file] == Double(2 * bytes))
    #expect(first[prefix + "level_files{size_bytes=\"\(bytes)\",node=\"any\"}"] == 2)
    #expect(first[prefix + "filled_bytes_total"] == Double(2 * bytes))
    for operation in ["status", "fill", "collect"] {
      let time = first[success(operation)]
      #expect(abs((time ?? 0) - Date().timeIntervalSince1970) < 60, "\(operation)")
    }

    try served.until("listens for events") { try page()[prefix + "listening"] == 1 }
    try served.place.get("reservoir", "lease", "-m", "4M")
    try served.orphan("vm1")
    try served.until("recycled") {
      let page = try page()
      return page[prefix + "recycle_seconds_count"] == 1
        && page[prefix + "lease_seconds_count"] == 1
    }
    let leased = "{state=\"leased\",size_bytes=\"\(bytes)\",node=\"any\"}"
    #expect(try page()[prefix + "files" + leased] == 1)
    // Operations of other processes count too.
    #expect(try page()[prefix + "leased_bytes_total"] == Double(bytes))
    #expect(try page()[prefix + "recycled_bytes_total"] == Double(bytes))
    #expect(try page()[prefix + "lease_wait_seconds_count"] == 1)
    #expect(try served.place.run(["reservoir", "lease", "-m", "1G"]).status == 1)
    #expect(try served.place.run(["reservoir", "lease", "-m", "4M", "--name", "x"]).status == 0)
    #expect(try served.place.run(["reservoir", "release", "x"]).status == 0)
    try served.until("reported") {
      let page = try page()
      return page[prefix + "failures_total{operation=\"lease\",code=\"noReadyMemory\"}"] == 1
        && page[prefix + "released_total"] == 1 && page[prefix + "lease_seconds_count"] == 2
    }

    try served.configure("nothing")
    try served.send(SIGHUP)
    try served.until("failed") {
      try page()[prefix + "failures_total{operation=\"reload\",code=\"configuration\"}"] == 1
    }
  }

  @Test func otherRequests() throws {
    try served.configure("[level]\nfiles = 1x4M\n[metrics]\nlisten = 127.0.0.1:0\n")
    try served.start()
    for (request, status, rest) in [
      ("GET /healthz HTTP/1.0\r\n\r\n", "200 OK", "\r\n\r\nok\n"),
      ("HEAD /metrics HTTP/1.1\r\nHost: [::1]:1\r\n\r\n", "200 OK", "close\r\n\r\n"),
      ("GET /metrics?x=1 HTTP/1.1\nHost: localhost\n\n", "200 OK", "\n"),
      (
        "GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "404 Not Found",
        "/, /status.json, /metrics, /healthz\n"
      ),
      ("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "200 OK", "</html>\n"),
      ("GET /?a=<script> HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "200 OK", "</html>\n"),
      ("HEAD / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "200 OK", "close\r\n\r\n"),
      ("GET /status.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "200 OK", "}\n"),
      ("GET //status.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "404 Not Found", "healthz\n"),
      ("DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n", "405 Method Not Allowed", "GET\n"),
      ("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", "421 Misdirected Request", "\n"),
      ("POST /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", "405 Method Not Allowed", "GET\n"),
      ("nonsense\r\n\r\n", "400 Bad Request", "\n"),
      ("GET /metrics HTTP/1.1\r\n\r\n", "400 Bad Request", "\n"),
      ("GET /metrics HTTP/1.1\r\nHost: a.example\r\n\r\n", "421 Misdirected Request", "\n"),
      (String(repeating: "x", count: 9000), "431 Request Header Fields Too Large", "\n"),
    ] {
      let answer = try served.ask(request)
      #expect(answer.hasPrefix("HTTP/1.1 \(status)\r\n"), "\(request): \(answer.prefix(100))")
      #expect(answer.hasSuffix(rest), "\(request): \(answer)")
    }
    // A client that sends nothing or half a request is disconnected.
    for request in ["", "GET /metrics HTT"] {
      #expect(try served.ask(request).isEmpty)
    }
    #expect(try served.ask("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").hasSuffix("ok\n"))
  }

  @Test func `a page for browsers, and its data`() throws {
    try served.configure("[level]\nfiles = 2x4M\n[metrics]\nlisten = 127.0.0.1:0\n")
    try served.start()
    try served.until("first") { served.ready.count == 2 }
    try served.place.get("reservoir", "lease", "-m", "4M", "--name", "a-secret-name")
    func body(_ path: String) throws -> (head: String, body: String) {
      let answer = try served.ask("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n")
      let end = try #require(answer.range(of: "\r\n\r\n"))
      return (String(answer[..<end.lowerBound]), String(answer[end.upperBound...]))
    }
    let (head, page) = try body("/")
    for field in [
      "Content-Type: text/html; charset=utf-8", "Content-Security-Policy: default-src 'none'; ",
      "X-Content-Type-Options: nosniff", "X-Frame-Options: DENY", "Referrer-Policy: no-referrer",
      "Cross-Origin-Resource-Policy: same-origin", "Cross-Origin-Opener-Policy: same-origin",
      "Cache-Control: no-store", "Refresh: 10", "Content-Length: \(page.utf8.count)",
    ] { #expect(head.contains(field), "\(field): \(head)") }
    #expect(page.contains("\(served.place.path)/holdfast") && page.contains("Healthy."))
    // Every local user can read the port.
    #expect(!page.contains("a-secret-name"))

    let (jsonHead, json) = try body("/status.json")
    #expect(jsonHead.contains("Content-Type: application/json"))
    #expect(!json.contains("a-secret-name"))
    let value = try #require(
      try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
    let levels = try #require(value["levels"] as? [[String: Any]])
    #expect(levels.count == 1 && levels[0]["wanted"] as? Int == 2)
    let service = try #require(value["service"] as? [String: Any])
    #expect(service["isHealthy"] as? Bool == true && service["problem"] is NSNull)
    let history = try #require(value["history"] as? [String: Any])
    #expect((history["samples"] as? [Any])?.isEmpty == false)
    let metrics = try body("/metrics")
    #expect(metrics.body.contains("holdfast_reservoir_healthy 1\n"))
    #expect(metrics.head.contains("X-Content-Type-Options: nosniff"))
  }

  @Test func toAFile() throws {
    let path = served.folder.appending(path: "holdfast.prom").path
    try served.configure("[level]\nfiles = 1x4M\n[metrics]\ntextfile = \(path)\ninterval = 0.1\n")
    try served.start()
    try served.until("first") { access(path, F_OK) == 0 }
    var inodes: Set<UInt64> = []
    let end = ContinuousClock.now + .seconds(20)
    while inodes.count < 5, ContinuousClock.now < end {
      // The file is complete at any time.
      let samples = try parse(try String(contentsOfFile: path, encoding: .utf8))
      #expect(samples["holdfast_reservoir_up"] == 1)
      #expect(samples.count > 40)
      var status = stat()
      if stat(path, &status) == 0 { inodes.insert(UInt64(status.st_ino)) }
      let others = try FileManager.default.contentsOfDirectory(atPath: served.folder.path)
      #expect(others.filter { $0.hasSuffix(".prom") } == ["holdfast.prom"])
    }
    #expect(inodes.count >= 2)
    var status = stat()
    #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o644)
    try served.send(SIGTERM)
    #expect(try served.end().status == 0)
    let left = try FileManager.default.contentsOfDirectory(atPath: served.folder.path)
    #expect(left.sorted() == ["holdfast.prom", "reservoir.conf"])
  }
}
