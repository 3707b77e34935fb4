import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

/// `holdfast template` and `holdfast run --template` as users run them.
@Suite(.enabled(if: HostNeeds.python, "\(TemplatePlace.needs)"))
struct TemplateProgramTests {}

extension TemplateProgramTests {
  @Test(arguments: [TemplatePlace.Kind.tmpfs, .disk])
  func aWholeLife(_ kind: TemplatePlace.Kind) throws {
    try live(try TemplatePlace(kind))
  }

  @Test(
    .enabled(
      if: HostNeeds.isRoot && HostNeeds.hugePages(.mebibytes(80)),
      "needs root and \(HostNeeds.hugePagesComment)"))
  func aWholeLifeOnHugePages() throws {
    try HugePageLock.withLock { try live(try TemplatePlace(.hugetlbfs)) }
  }

  private func live(_ place: TemplatePlace) throws {
    let hasReservoir = place.kind != .disk
    #expect(try place.get("template", "list") == "no templates\n")
    let machine = try place.create()
    #expect(try place.list() == ["base running - -"])
    #expect(try place.rows() == (hasReservoir ? ["4M 0 1 0"] : []))

    let receipt = try place.json("template", "seal", "base")
    #expect(
      Set(receipt.keys) == [
        "name", "path", "sizeBytes", "pageSizeBytes", "stateBytes", "monitor", "version", "seconds",
      ])
    #expect(receipt["sizeBytes"] as? Int == 4 << 20 && receipt["version"] as? String == "7.2.22")
    #expect(receipt["pageSizeBytes"] as? Int == (place.kind == .hugetlbfs ? 2 << 20 : 4096))
    #expect(receipt["path"] as? String == place.file("sealed/base"))
    let outcome = try machine.wait()
    #expect(outcome.status == 0 && outcome.error.isEmpty && outcome.output.isEmpty, "\(outcome)")
    #expect(try place.list() == ["base sealed 4194304 0"])
    #expect(try place.rows() == [] && place.names("drafts") == [])
    // hugetlbfs has no holes, so nothing notes where they are.
    let notes = place.kind == .hugetlbfs ? [] : ["data"]
    #expect(place.names("sealed/base") == ["about", "clones"] + notes + ["memory", "state"])
    let before = ["memory", "about", "state"].map { place.contents($0) }

    // A clone goes on from the counter of the stop, by its own.
    let receipts = place.work + "/receipts"
    let one = try place.clones("one", options: ["--receipts", receipts])
    #expect(
      place.number("running", in: "one") == place.number("stopped", in: "base")
        ?? place.number("stopped", in: "base"))
    try place.run(["template", "remove", "base"]).expectFailure(1, "the clone one runs on it")
    #expect(try place.list() == ["base sealed 4194304 1"])
    #expect(eventually { place.log("one").contains("ticked") })
    one.send(SIGTERM)
    #expect(try one.wait().status == 143)
    #expect(place.names("sealed/base/clones") == [])
    #expect(place.names("sealed/base").contains("touched"))

    let three = try place.clones("vm", count: 3, options: ["--receipts", receipts])
    #expect(eventually { (try? lines(receipts).count) == 4 })
    try checkReceipts(try lines(receipts))
    try checkShow(try place.json("template", "show", "base"), place)
    #expect(try place.get("template", "show", "base").contains("as separate guests 12 MiB"))
    try place.run(["template", "remove", "base"]).expectFailure(
      1, "3 clones run on it: vm-0, vm-1, vm-2")
    three.send(SIGTERM)
    #expect(try three.wait().status == 143)
    #expect(["memory", "about", "state"].map { place.contents($0) } == before)

    #expect(
      try place.get("template", "remove", "base")
        == "4 MiB returned to the host"
        + (hasReservoir ? ", and as much new memory is ready.\n" : ".\n"))
    #expect(try place.rows() == (hasReservoir ? ["4M 1 0 0"] : []))
    #expect(place.names("sealed") == [] && place.names("drafts") == [])
  }

  private func lines(_ path: String) throws -> [[String: Any]] {
    try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
  }

  private func checkReceipts(_ receipts: [[String: Any]]) throws {
    #expect(
      receipts.allSatisfy {
        Set($0.keys) == [
          "name", "template", "process", "sizeBytes", "promisedBytes", "version", "prefetchedPages",
          "prefetchSeconds", "answeredSeconds", "seconds",
        ]
      }, "\(receipts)")
    let names = receipts.compactMap { $0["name"] as? String }
    #expect(names[0] == "one" && names.dropFirst().sorted() == ["vm-0", "vm-1", "vm-2"])
    let prefetched = receipts.compactMap { $0["prefetchedPages"] as? Int }
    #expect(prefetched[0] == 0 && prefetched.dropFirst().allSatisfy { $0 > 0 }, "\(prefetched)")
    #expect(Set(receipts.compactMap { $0["process"] as? Int }).count == 4)
    for receipt in receipts {
      #expect(receipt["template"] as? String == "base" && receipt["version"] as? String == "7.2.22")
      #expect(receipt["promisedBytes"] as? Int == 4 << 20)
      let (answered, all) = (receipt["answeredSeconds"] as? Double, receipt["seconds"] as? Double)
      #expect(try #require(answered) > 0 && #require(all) > #require(answered))
    }
  }

  private func checkShow(_ show: [String: Any], _ place: TemplatePlace) throws {
    #expect(
      Set(show.keys) == [
        "name", "path", "sizeBytes", "pageSizeBytes", "stateBytes", "created", "monitor", "version",
        "parent", "workingSetPages", "books",
      ])
    let books = try #require(show["books"] as? [String: Any])
    #expect(Set(books.keys) == ["clones", "memoryBytes", "sumBytes", "separateBytes"])
    #expect(books["memoryBytes"] as? Int == 4 << 20 && books["separateBytes"] as? Int == 12 << 20)
    let clones = try #require(books["clones"] as? [[String: Any]])
    #expect(clones.compactMap { $0["name"] as? String } == ["vm-0", "vm-1", "vm-2"])
    var sum = 4 << 20
    for clone in clones {
      #expect(
        Set(clone.keys) == [
          "name", "process", "seconds", "promisedBytes", "ownBytes", "sharedBytes", "copies",
        ])
      let own = try #require(clone["ownBytes"] as? Int)
      let shared = try #require(clone["sharedBytes"] as? Int)
      #expect(own > 0 && own + shared <= 4 << 20, "\(clone)")
      sum += own
      let process = try #require(clone["process"] as? Int)
      #expect(place.monitors().contains(pid_t(process)))
    }
    #expect(books["sumBytes"] as? Int == sum)
  }

  @Test func badNames() throws {
    let place = try TemplatePlace()
    for (name, text) in [
      ("", "it is empty"), ("a/b", "characters other than"), ("..", "characters other than"),
      ("a.b", "characters other than"), ("a\nb", "characters other than"),
      ("é", "characters other than"), (String(repeating: "x", count: 65), "more than 64"),
    ] {
      for words in [
        ["template", "create", name, "-m", "4M"] + place.monitor(), ["template", "seal", name],
        ["template", "show", name], ["template", "remove", name],
        ["run", "--template", name] + place.monitor(),
      ] {
        try place.run(words).expectFailure(64, text)
      }
    }
    try place.run(["run", "--template", "-x"] + place.monitor()).expectFailure(64, "begins with -")
    #expect(try place.list() == [] && place.rows() == ["4M 1 0 0"])
  }

  @Test func badArguments() throws {
    let place = try TemplatePlace()
    let monitor = place.monitor()
    for (words, status, text) in [
      (["template", "create", "base"] + monitor, 64, "--memory"),
      (["template", "create", "base", "-m", "4M"], 64, "program"),
      (["template", "create", "base", "-m", "4M", "--", "true"], 64, "lack {memory}"),
      (
        ["template", "create", "base", "-m", "4M", "--", "true", "{memory}", "{state}"], 64,
        "{state}"
      ),
      (["template", "create", "base", "-m", "4M"] + monitor + ["-daemonize"], 64, "-daemonize"),
      (["template", "create", "base", "-m", "8M"] + monitor, 1, "the largest file that is ready"),
      (
        ["template", "create", "base", "-m", "4M", "--", "/none/at/all", "{memory}"], 1,
        "cannot start '/none/at/all'"
      ),
      (["template", "seal", "base", "--", "true"], 64, "--state"),
      (["template", "seal", "base", "--state", "x", "--qmp", "y"], 64, "cannot be combined"),
      (["template", "seal", "base", "--timeout", "soon"], 64, "seconds"),
      (["run", "--count", "2", "-m", "4M"] + monitor, 64, "needs '--template'"),
      (["run", "--no-prefetch", "-m", "4M"] + monitor, 64, "needs '--template'"),
      (["run", "--receipts", "x", "-m", "4M"] + monitor, 64, "needs '--template'"),
      (["run", "--promise", "4M", "-m", "4M"] + monitor, 64, "needs '--template'"),
      (["run"] + monitor, 64, "'--memory <size>' or '--template <name>'"),
      (["run", "--template", "base", "-m", "4M"] + monitor, 64, "cannot be combined"),
      (["run", "--template", "base", "--grow"] + monitor, 64, "cannot be combined"),
      (["run", "--template", "base", "--wait", "1"] + monitor, 64, "cannot be combined"),
      (["run", "--template", "base", "--count", "0"] + monitor, 64, "1"),
      (["run", "--template", "base", "--count", "1001"] + monitor, 64, "1000"),
      (["run", "--template", "base", "--promise", "0"] + monitor, 64, "it is zero"),
      (["run", "--template", "base", "--", "true"], 64, "lack {memory}"),
      (["run", "--template", "base"] + place.monitor(share: "on"), 64, "share=on"),
      (["run", "--template", "base"] + place.monitor(share: "true"), 64, "share=on"),
    ] as [([String], Int32, String)] {
      try place.run(words).expectFailure(status, text)
    }
    #expect(try place.list() == [] && place.rows() == ["4M 1 0 0"])
  }

  @Test func unknownTemplates() throws {
    let place = try TemplatePlace()
    try place.run(["template", "seal", "base"]).expectFailure(1, "no machine runs")
    for words in [
      ["template", "show", "base"], ["template", "remove", "base"],
      ["run", "--template", "base"] + place.monitor(),
    ] {
      try place.run(words).expectFailure(1, "has no templates")
    }
    try place.makeTemplate("other")
    for words in [
      ["template", "show", "base"], ["template", "remove", "base"],
      ["run", "--template", "base"] + place.monitor(),
    ] {
      try place.run(words).expectFailure(1, "has no template of that name, but other")
    }
  }

  @Test func twice() throws {
    let place = try TemplatePlace()
    let machine = try place.create()
    try place.run(["template", "create", "base", "-m", "4M"] + place.monitor()).expectFailure(
      1, "a machine that will be the template of that name is running")
    try place.get("template", "seal", "base")
    #expect(try machine.wait().status == 0)
    try place.run(["template", "seal", "base"]).expectFailure(1, "it is sealed")
    try place.run(["template", "create", "base", "-m", "4M"] + place.monitor()).expectFailure(
      1, "a template has that name")
    #expect(try place.list() == ["base sealed 4194304 0"])
  }

  @Test func sealWhileAnotherSeals() throws {
    let place = try TemplatePlace()
    let machine = try place.create("base", place.monitor("slow=1"))
    let programs = try (0..<3).map { _ in try place.start(["template", "seal", "base"]) }
    let outcomes = try programs.map { try $0.wait() }
    #expect(outcomes.count { $0.status == 0 } == 1, "\(outcomes)")
    for outcome in outcomes where outcome.status != 0 {
      outcome.expectFailure(1, "it is sealed")
    }
    #expect(try machine.wait().status == 0)
    #expect(place.log(place.machineLog("base")).count { $0 == "migrate" } == 1)
    #expect(try place.list() == ["base sealed 4194304 0"])
  }

  /// Two seals at once, of which the first takes longer than the second waits.
  @Test func aSealThatTakesLong() throws {
    let place = try TemplatePlace()
    let machine = try place.create("base", place.monitor("late"))
    let first = try place.start(["template", "seal", "base"])
    #expect(eventually { place.log(place.machineLog("base")).contains("migrate") })
    try place.run(["template", "seal", "base"]).expectFailure(1, "another process seals it")
    first.send(SIGKILL)
    _ = try first.wait()
    machine.send(SIGTERM)
    #expect(try machine.wait().status == 143)
    #expect(try place.list() == [] && place.rows() == ["4M 1 0 0"])
  }

  @Test func countsAndNames() throws {
    let place = try TemplatePlace()
    try place.makeTemplate()
    let two = try place.clones("vm", count: 2)
    #expect(place.names("sealed/base/clones").map { $0.prefix { $0 != "@" } } == ["vm-0", "vm-1"])
    try place.run(["run", "--template", "base", "--name", "vm-1"] + place.monitor()).expectFailure(
      1, "a clone of the template has that name")
    // The clones that were started before the one that cannot be are ended.
    try place.run(["run", "--template", "base", "--name", "vm", "--count", "3"] + place.monitor())
      .expectFailure(1, "a clone of the template has that name")
    #expect(try place.list() == ["base sealed 4194304 2"])
    let long = String(repeating: "x", count: 63)
    try place.run(["run", "--template", "base", "--name", long, "--count", "2"] + place.monitor())
      .expectFailure(1, "more than 64 characters")
    two.send(SIGTERM)
    _ = try two.wait()
    // Without a name each has one of its own, which begins with the template's.
    let program = try place.start(["run", "--template", "base", "--count", "2"] + place.monitor())
    let isNoted = eventually {
      let names = place.names("sealed/base/clones")
      let form = /base-[0-9a-f]{8}-[01]@[1-9][0-9]*\.[0-9]+\.4194304(![0-9.]+)?/
      return names.count == 2 && names.allSatisfy { $0.wholeMatch(of: form) != nil }
    }
    #expect(isNoted, "\(place.names("sealed/base/clones"))")
    program.send(SIGTERM)
    _ = try program.wait()
    #expect(place.names("sealed/base/clones") == [])
  }

  /// What the words in braces stand for.
  @Test func wordsInBraces() throws {
    let place = try TemplatePlace()
    try place.makeTemplate()
    let file = place.work + "/{id}.words"
    let script = "echo \"$@\" > \(file); exec 0</proc/self/fd/$3 && head -c 4 {state} >> \(file)"
    let words = [
      "--", "sh", "-c", script, "sh", "{name}", "{memory}", "{fd}", "{size}", "{bytes}", "{mib}",
      "{share}", "{uuid}", "{seed}",
    ]
    let outcome = try place.run(
      ["run", "--template", "base", "--name", "vm", "--count", "2"] + words)
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
    var seen: Set<String> = []
    for number in 0...1 {
      let text = try String(contentsOfFile: place.work + "/\(number).words", encoding: .utf8)
      let values = text.split { $0 == " " || $0 == "\n" }.map { String($0) }
      try #require(values.count == 10, "\(text)")
      #expect(values[0] == "vm-\(number)" && values[1] == place.file("sealed/base/memory"))
      #expect(Array(values[3...6]) == ["4M", "4194304", "4", "off"])
      #expect(UUID(uuidString: values[7]) != nil && values[7].count == 36)
      #expect(values[8].count == 64 && values[8].allSatisfy { $0.isHexDigit })
      #expect(values[9] == "STUB")
      seen.formUnion([values[7], values[8]])
    }
    #expect(seen.count == 4)
  }
}
