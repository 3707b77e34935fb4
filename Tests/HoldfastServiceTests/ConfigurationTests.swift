import Foundation
import HoldfastCore
import HoldfastReservoir
import Testing

@testable import HoldfastService

struct ConfigurationTests {
  @Test func all() throws {
    let read = try ServiceConfiguration(
      """
      # comment
      ; comment
      [reservoir]
      mount = /dev/hugepages/
        interval=0.5
      priority = idle\r
      [fill]
      threads = 2
      rate = 1.5G
      reserve-hugepages = yes

      [level]
      files = 4x10G
      node = 1
      [level]
      files = 10G
      [collect]
      interval = 2m
      threads = 3
      verify = on
      reuse = scrub
      older-than = 7d
      [socket]
      path = /run/holdfast/reservoir.sock
      group = 100
      mode = 0620
      [limits]
      bytes = 64G
      files = 16
      requests = 2
      [metrics]
      listen = [::1]:9816
      textfile = /run/x.prom
      interval = 30s
      """, file: "f")
    var wanted = ServiceConfiguration()
    wanted.mount = "/dev/hugepages"
    wanted.interval = .milliseconds(500)
    wanted.priority = .idle
    wanted.fillThreads = 2
    wanted.rate = .mebibytes(1536)
    wanted.reservesHugePages = true
    wanted.levels = [
      .init(count: 4, size: .gibibytes(10), node: NodeID(1)), .init(count: 1, size: .gibibytes(10)),
    ]
    wanted.collectInterval = .seconds(120)
    wanted.collecting = CollectOptions(age: .seconds(7 * 86400))
    wanted.collecting.recycling = RecycleOptions(reuse: .scrub, verifies: true, threads: 3)
    wanted.sockets.path = "/run/holdfast/reservoir.sock"
    wanted.sockets.group = 100
    wanted.sockets.permissions = 0o620
    wanted.limits.bytes = .gibibytes(64)
    wanted.limits.files = 16
    wanted.limits.requests = 2
    wanted.listener = .init(isVersion6: true, port: 9816)
    wanted.textfile = "/run/x.prom"
    wanted.textfileInterval = .seconds(30)
    #expect(read == wanted)
  }

  @Test func byteOrderMark() throws {
    let read = try ServiceConfiguration("\u{FEFF}[level]\r\nfiles = 1x2M\r\n", file: "f")
    #expect(read.levels == [.init(count: 1, size: .mebibytes(2))])
    // Characters that are no comments.
    let other = try ServiceConfiguration(
      "[level]\nfiles = 1x2M\n[metrics]\ntextfile = /a#b;c d.prom\n", file: "f")
    #expect(other.textfile == "/a#b;c d.prom")
  }

  @Test func defaults() throws {
    let read = try ServiceConfiguration("[level]\nfiles = 1x2M", file: "f")
    var wanted = ServiceConfiguration()
    wanted.levels = [.init(count: 1, size: .mebibytes(2))]
    #expect(read == wanted)
  }

  @Test(
    arguments: [
      ("", nil, "no [level]"),
      ("[reservoir]\n", nil, "no [level]"),
      ("mount = /x", 1, "before the first section"),
      ("[reservoir\n", 1, "in brackets"),
      ("[]\n", 1, "in brackets"),
      ("[a b]\n", 1, "in brackets"),
      ("[level]\nfiles\n", 2, "neither key = value"),
      ("[level]\n= 1x2M\n", 2, "not a key"),
      ("[level]\nfiles =\n", 2, "no value"),
      ("[level]\nfiles = 1x2M\n[level]\n", 3, "needs files"),
      ("[level]\nfiles = 1x2M\nfiles = 2x2M\n", 3, "line 2"),
      ("[level]\nfiles = 1x2M\n[level]\nfiles = 2x2M\n", 3, "the same size"),
      ("[level]\nfiles = 0x2M\n", 2, "1 to 65536"),
      ("[level]\nfiles = 1x2Q\n", 2, "K, M, G or T"),
      ("[level]\nfiles = 1x2M # four\n", 2, "K, M, G or T"),
      ("[level]\nfiles = 1x2M # four\n", 2, "a comment takes a whole line"),
      ("[level] # four\nfiles = 1x2M\n", 1, "a comment takes a whole line"),
      ("[fill]\nthreads = 2 ; two\n", 2, "a comment takes a whole line"),
      ("[metrics]\ntextfile = /x.prom # file\n", 2, "end in a comment, which takes a whole line"),
      ("[level]\nfiles = # four\n", 2, "a comment takes a whole line"),
      ("[level]\nfiles = 65536x16777215T\n", 1, "more memory than any host has"),
      ("[level]\nfiles = 2x1T\n[level]\nfiles = 4096x1048576T\n", 3, "more memory than any"),
      ("[level]\nfiles = 1x4097\n", 1, "not a multiple of the smallest page size, 4 KiB"),
      ("[socket]\nmode = +660\n", 2, "not a mode in octal digits"),
      ("[socket]\ngroup = +5\n", 2, "no group has that name"),
      ("[socket]\npath = /\n", 2, "the root folder"),
      ("[socket]\npath = /\(String(repeating: "x", count: 81))\n", 2, "more than 80 bytes"),
      ("[reservoir]\nmount = /\(String(repeating: "x", count: 256))\n", 2, "the kernel allows"),
      ("[level]\nfiles = 1x2M\nnode = -1\n", 3, "0 to 1023"),
      ("[level]\nfiles = 1x2M\nnode = 1024\n", 3, "0 to 1023"),
      (
        "[level]\nfiles = 1x2M\nsize = 2M\n", 3,
        "unknown key 'size'; the keys of [level] are files, node"
      ),
      ("\n[levels]\nfiles = 1x2M\n", 2, "unknown section [levels]"),
      ("[fill]\nRate = 2M\n", 2, "unknown key 'Rate'"),
      ("[fill]\nrate = fast\n", 2, "rate = fast"),
      ("[fill]\nthreads = 0\n", 2, "1 to 1024"),
      ("[fill]\nthreads = +2\n", 2, "1 to 1024"),
      ("[fill]\nreserve-hugepages = perhaps\n", 2, "neither yes nor no"),
      ("[fill]\n[fill]\n", 2, "line 1"),
      ("[reservoir]\nmount = x\n", 2, "begins with /"),
      ("[reservoir]\ninterval = 0\n", 2, "0.1 seconds"),
      ("[reservoir]\ninterval = soon\n", 2, "'soon' is not a time"),
      ("[reservoir]\npriority = high\n", 2, "not one of idle, low, normal"),
      ("[collect]\nreuse = keep\n", 2, "not one of fresh, scrub, release"),
      ("[socket]\nmode = 888\n", 2, "not a mode in octal digits"),
      ("[socket]\ngroup = no such group\n", 2, "no group has that name"),
      ("[socket]\npath = x\n", 2, "begins with /"),
      ("[limits]\nbytes = all\n", 2, "bytes = all"),
      ("[limits]\nrequests = 0\n", 2, "1 to 256"),
      ("[metrics]\nlisten = 0.0.0.0:80\n", 2, "not a loopback address"),
      ("[metrics]\nlisten = 9816\n", 2, "not a loopback address"),
      ("[metrics]\nlisten = 127.0.0.1:65536\n", 2, "0 to 65535"),
      ("[metrics]\ntextfile = a.prom\n", 2, "begins with /"),
    ] as [(String, Int?, String)])
  func errors(_ text: String, _ line: Int?, _ words: String) {
    // Valid parts do not hide the invalid one.
    do throws(HoldfastError) {
      let read = try ServiceConfiguration(text, file: "/etc/f.conf")
      Issue.record("\(read)")
    } catch {
      #expect(error.code == .invalidArgument && error.reason.contains(words), "\(error)")
      #expect(error.description.hasPrefix(line.map { "/etc/f.conf:\($0): " } ?? "/etc/f.conf: "))
    }
  }

  /// Every key with a number takes the one notation of numbers, and no other.
  @Test(
    arguments: [
      ("reservoir", "interval", "%@s"), ("fill", "threads", "%@"), ("fill", "rate", "%@G"),
      ("level", "files", "%@x2M"), ("level", "files", "1x%@M"),
      ("level", "files = 1x2M\nnode", "%@"), ("collect", "interval", "%@m"),
      ("collect", "threads", "%@"), ("collect", "older-than", "%@d"), ("limits", "bytes", "%@G"),
      ("limits", "files", "%@"), ("limits", "requests", "%@"),
      ("metrics", "listen", "127.0.0.1:%@"), ("metrics", "interval", "%@s"),
    ])
  func numbers(_ section: String, _ key: String, _ form: String) throws {
    func text(_ number: String) -> String {
      (section == "level" ? "" : "[level]\nfiles = 1x2M\n")
        + "[\(section)]\n\(key) = \(form.replacing("%@", with: number))\n"
    }
    _ = try ServiceConfiguration(text("2"), file: "f")
    for number in [
      "0x1p2", "0x2", "nan", "inf", "infinity", "1e400", "2e0", "+2", "-2", "2%", "2,0", "2_0",
      "\u{662}", "\u{FF12}", "2.", ".2", "",
    ] {
      let error = #expect(throws: HoldfastError.self, "\(text(number))") {
        try ServiceConfiguration(text(number), file: "f")
      }
      #expect(error?.code == .invalidArgument)
      #expect(error?.description.hasPrefix("f:") == true, "\(error as Any)")
    }
  }

  @Test func unreadable() throws {
    for (path, words) in [
      ("/nowhere/f", "cannot read the file"), ("/dev", "cannot read the file"),
      ("/dev/zero", "1 MiB"),
    ] {
      do throws(HoldfastError) {
        _ = try ServiceConfiguration(file: path)
        Issue.record("\(path) was read")
      } catch {
        #expect(error.description.contains(words))
      }
    }
  }

  @Test func changesThatNeedARestart() throws {
    let first = try ServiceConfiguration("[level]\nfiles = 1x2M", file: "f")
    var second = first
    second.levels = []
    second.rate = .mebibytes(1)
    #expect(first.obstacle(to: second) == nil)
    second.mount = "/x"
    second.priority = .normal
    #expect(first.obstacle(to: second)?.hasPrefix("mount, priority cannot change") == true)
  }

  /// The example that comes with the program: as it is, and with all keys that are commented out.
  @Test func example() throws {
    let folder = URL(filePath: #filePath).deletingLastPathComponent()
    let file = folder.appending(path: "../../packaging/reservoir.conf").path
    let read = try ServiceConfiguration(file: file)
    var wanted = ServiceConfiguration()
    wanted.levels = [.init(count: 4, size: .gibibytes(2))]
    #expect(read == wanted)

    let text = try String(contentsOfFile: file, encoding: .utf8)
    let all = text.split(separator: "\n").map { line in
      line.hasPrefix("#") && !line.hasPrefix("# ") ? line.dropFirst() : line
    }
    let whole = try ServiceConfiguration(all.joined(separator: "\n"), file: file)
    #expect(whole.levels.count == 2 && whole.listener?.port == 9816)
    #expect(whole.collecting.age == .seconds(7 * 86400) && whole.rate == .gibibytes(2))
    // The values that it gives as defaults are the defaults.
    #expect(whole.interval == wanted.interval && whole.priority == wanted.priority)
    #expect(whole.collectInterval == wanted.collectInterval)
    #expect(whole.textfileInterval == wanted.textfileInterval)
    #expect(!whole.collecting.recycling.verifies)
    #expect(whole.collecting.recycling.reuse == wanted.collecting.recycling.reuse)
    #expect(whole.limits.requests == wanted.limits.requests)
    #expect(!whole.reservesHugePages)
  }

  /// The manual page has each section and key that the reader of configurations knows, by its own
  /// errors, and no other.
  @Test func manual() throws {
    func names(after phrase: String, _ text: String) throws -> [String] {
      let error = #expect(throws: HoldfastError.self) {
        try ServiceConfiguration(text, file: "f")
      }
      let reason = try #require(error?.reason)
      let list = try #require(reason.range(of: phrase))
      return reason[list.upperBound...].components(separatedBy: ", ")
    }
    var known: [String] = []
    for section in try names(after: "the sections are ", "[none]") {
      let keys = try names(after: "the keys of [\(section)] are ", "[\(section)]\nnone = 1")
      known += keys.map { "[\(section)] \($0)" }
    }
    #expect(known.count > 20)

    let folder = URL(filePath: #filePath).deletingLastPathComponent()
    let page = folder.appending(path: "../../packaging/manual/holdfast-reservoir.conf.5.man")
    var described: [String] = []
    var section = ""
    for line in try String(contentsOf: page, encoding: .utf8).split(separator: "\n") {
      if line.hasPrefix(".SS ") {
        section = String(line.dropFirst(4))
      } else if line.hasPrefix(".BI "), let equals = line.firstIndex(of: "=") {
        let key = line[..<equals].dropFirst(4).replacing("\\-", with: "-")
        described.append("\(section) \(key)")
      }
    }
    #expect(described.sorted() == known.sorted())
  }
}
