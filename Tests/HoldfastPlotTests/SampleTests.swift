import Foundation
import HoldfastTestKit
import Testing

@testable import HoldfastPlot

struct SampleTests {
  /// Writes the sample for `Scripts/report/check`, if a folder is given.
  @Test func `the sample page has its numbers from its JSON`() throws {
    let sample = Sample()
    let html = sample.page.html
    if let folder = ProcessInfo.processInfo.environment["HOLDFAST_SAMPLE_FOLDER"] {
      let folder = URL(fileURLWithPath: folder)
      try Data(html.utf8).write(to: folder.appendingPathComponent("sample.html"))
      try Data(sample.json.utf8).write(to: folder.appendingPathComponent("sample.json"))
    }
    let reader = SVGReader(String(html.dropFirst("<!DOCTYPE html>\n".count)))
    #expect(reader.error == nil)
    var drawn: [String: [String?]] = [:]
    for element in reader.elements {
      guard let key = element.attributes["data-key"] else { continue }
      drawn[key, default: []].append(element.attributes["data-value"])
    }
    // Every number of the document is drawn, in both variants of its picture, except for the gap.
    for (name, values) in sample.lists {
      for (index, value) in values.enumerated() where "\(name).\(index)" != "size2.3" {
        let found = drawn["\(name).\(index)"] ?? []
        #expect(found.count >= (name == "cells" ? 1 : 2), "\(name).\(index)")
        #expect(found.allSatisfy { $0 == "\(value)" }, "\(name).\(index)")
      }
    }
    #expect(drawn["size2.3"] == nil)
  }
}
