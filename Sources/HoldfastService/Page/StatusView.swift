internal import HoldfastCore

/// What the service's page and its data are made of, for the thread that serves them.
struct StatusView {
  private(set) var history = History()
  private var nextSample: UInt64 = 0
  /// The page that was made last, and when.
  private var page: (html: String, problem: String?, moment: UInt64)?

  /// How long a page may be used again: many clients cost no more than one.
  private static let lifetime: UInt64 = 1_000_000_000

  /// Takes a sample where one is due.
  ///
  /// - Parameter metrics: the text of the metrics.
  mutating func sampleIfDue(_ metrics: () -> String) {
    let now = Clock.monotonic
    guard now >= nextSample else { return }
    nextSample = now + History.interval.nanoseconds
    if let reading = ServiceReading(metrics()) {
      history.add(reading, time: Clock.unix, moment: now)
    }
  }

  /// The page for people.
  mutating func html(_ metrics: () -> String, path: String, problem: String?) -> HTTPResponse {
    let now = Clock.monotonic
    if let page, page.problem == problem, now - page.moment < Self.lifetime {
      return Self.response(page.html)
    }
    guard let reading = ServiceReading(metrics()) else { return Self.failure }
    let html = StatusPage(
      reading: reading, history: history, path: path, problem: problem, time: Clock.unix
    ).html
    page = (html, problem, now)
    return Self.response(html)
  }

  /// The same for programs.
  func json(_ metrics: () -> String, path: String, problem: String?) -> HTTPResponse {
    guard let reading = ServiceReading(metrics()) else { return Self.failure }
    let report = PageReport(reading, history, path: path, problem: problem, time: Clock.unix)
    guard let json = try? JSONValue(encoding: CompleteValue(report)) else { return Self.failure }
    return HTTPResponse("200 OK", json.text + "\n", type: "application/json")
  }

  private static let failure = HTTPResponse(
    "500 Internal Server Error", "the metrics cannot be read\n")

  /// The page has no script and loads nothing, and the browser is told to allow neither; a frame of
  /// another page may not show it. It needs no address of its own to load again.
  private static func response(_ html: String) -> HTTPResponse {
    HTTPResponse(
      "200 OK", html, type: "text/html; charset=utf-8",
      field: "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
        + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
        + "X-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n"
        + "Cross-Origin-Opener-Policy: same-origin\r\nRefresh: 10\r\n")
  }
}
