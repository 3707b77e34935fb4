import Foundation
import Testing

@testable import HoldfastPlot

@Suite struct SampleTests {
  /// Writes the sample for `Scripts/report/check`, if a folder is given.
  @Test func `the sample page has its numbers from its JSON`() throws {
    let sample = Sample()
    let html = sample.page.html
    if let folder = ProcessInfo.processInfo.environment["HOLDFAST_SAMPLE_FOLDER"] {
      let folder = URL(fileURLWithPath: folder)
      try Data(html.utf8).write(to: folder.appendingPathComponent("sample.html"))
      try Data(sample.json.utf8).write(to: folder.appendingPathComponent("sample.json"))
    }
    // Every number of the document is drawn, in both variants.
    for (name, values) in sample.lists {
      for (index, value) in values.enumerated() where "\(name).\(index)" != "size2.3" {
        let attributes = "data-key=\"\(name).\(index)\" data-value=\"\(value)\""
        let count = html.components(separatedBy: attributes).count - 1
        #expect(count >= (name == "cells" ? 1 : 2), "\(attributes)")
      }
    }
  }
}
