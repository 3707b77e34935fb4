import HoldfastCore
import Testing

@testable import HoldfastSimulation

struct TraceParserTests {
  private static let good = "71fJw0x+SD/=,GB6uQC1N,2sh/Zja,558300,1673700,91.77,0.7,20.75,"

  private func parse(_ text: String, pieces: Int = .max) throws(TraceError) -> [TraceGuest] {
    var parser = TraceParser(file: "vm.csv")
    let bytes = Array(text.utf8)
    var start = 0
    while start < bytes.count {
      let end = pieces >= bytes.count - start ? bytes.count : start + pieces
      try parser.read(bytes[start..<end])
      start = end
    }
    try parser.finish()
    return parser.guests
  }

  @Test(arguments: [1, 2, 7, 100, .max])
  func `lines come in pieces of any length`(pieces: Int) throws {
    let text =
      Self.good + "Delay-insensitive,8,32\n"
      + "a,b,c,0,0,100.00000000001,0,0,Interactive,>24,>64\r\n"
      + "a,b,c,7,2591400,0,0,0,Unknown,2,1.75"
    #expect(
      try parse(text, pieces: pieces) == [
        TraceGuest(created: 558_300, deleted: 1_673_700, memory: .gibibytes(32)),
        TraceGuest(created: 0, deleted: 0, memory: .gibibytes(70)),
        TraceGuest(created: 7, deleted: 2_591_400, memory: .mebibytes(1792)),
      ])
  }

  @Test(
    arguments: [
      ("a,b,c,1,2,3,4,5,Unknown,2", nil, "there are 10 columns, not the 11"),
      ("a,b,c,1,2,3,4,5,Unknown,2,4,", nil, "there are 12 columns"),
      ("", nil, "the line is empty"),
      (
        "vmid,subscriptionid,deploymentid,vmcreated,vmdeleted,maxcpu,avgcpu,p95maxcpu,"
          + "vmcategory,vmcorecountbucket,vmmemorybucket",
        .vmcreated, "'vmcreated' is not a whole number of seconds"
      ),
      (",b,c,1,2,3,4,5,Unknown,2,4", .vmid, "the id is empty"),
      ("a,b,,1,2,3,4,5,Unknown,2,4", .deploymentid, "the id is empty"),
      ("a,b,c,-1,2,3,4,5,Unknown,2,4", .vmcreated, "'-1' is not"),
      ("a,b,c,1.5,2,3,4,5,Unknown,2,4", .vmcreated, "'1.5' is not"),
      ("a,b,c,1,,3,4,5,Unknown,2,4", .vmdeleted, "'' is not"),
      ("a,b,c,1,99999999999999999999,3,4,5,Unknown,2,4", .vmdeleted, "is not a whole number"),
      ("a,b,c,2,1,3,4,5,Unknown,2,4", .vmdeleted, "1 is before vmcreated, which is 2"),
      ("a,b,c,1,2,x,4,5,Unknown,2,4", .maxcpu, "'x' is not a percentage"),
      ("a,b,c,1,2,3,nan,5,Unknown,2,4", .avgcpu, "'nan' is not a percentage"),
      ("a,b,c,1,2,3,4,555,Unknown,2,4", .p95maxcpu, "'555' is not a percentage"),
      ("a,b,c,1,2,3,4,5,,2,4", .vmcategory, "the category is empty"),
      ("a,b,c,1,2,3,4,5,Unknown,few,4", .vmcorecountbucket, "'few' is not a number of cores"),
      ("a,b,c,1,2,3,4,5,Unknown,0,4", .vmcorecountbucket, "'0' is not a number of cores"),
      ("a,b,c,1,2,3,4,5,Unknown,2,", .vmmemorybucket, "'' is not a number of GB"),
      ("a,b,c,1,2,3,4,5,Unknown,2,0", .vmmemorybucket, "'0' is not"),
      ("a,b,c,1,2,3,4,5,Unknown,2,>32", .vmmemorybucket, "'>32' is not"),
      ("a,b,c,1,2,3,4,5,Unknown,2,1.2.3", .vmmemorybucket, "'1.2.3' is not"),
      ("a,b,c,1,2,3,4,5,Unknown,2,4G", .vmmemorybucket, "'4G' is not"),
      ("a,b,c,1,2,3,4,5,Unknown,2,99999999", .vmmemorybucket, "'99999999' is not"),
      ("a,b,c,1\u{1B},2,3,4,5,Unknown,2,4", .vmcreated, "'1?' is not"),
    ] as [(String, TraceColumn?, String)])
  func `the error for a bad line has its place and reason`(
    line: String, column: TraceColumn?, reason: String
  ) {
    let text = Self.good + "Unknown,2,4\n\(line)\n" + Self.good + "Unknown,2,4\n"
    let error = #expect(throws: TraceError.self) { try parse(text) }
    #expect(error?.file == "vm.csv" && error?.line == 2 && error?.column == column)
    #expect(error?.reason.contains(reason) == true, "\(String(describing: error))")
    let place = column.map { "column \($0.rawValue + 1) (\($0)): " } ?? ""
    #expect(error?.description.hasPrefix("vm.csv: line 2: \(place)") == true)
  }

  @Test func `an empty file and a file without lines are errors`() {
    for text in ["", String(repeating: "x", count: 10_000), "\n"] {
      let error = #expect(throws: TraceError.self) { try parse(text, pieces: 1000) }
      #expect(error?.line == 1 && error?.column == nil)
    }
  }
}
