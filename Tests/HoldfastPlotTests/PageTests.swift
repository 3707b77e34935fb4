import HoldfastTestKit
import Testing

@testable import HoldfastPlot

struct PageTests {
  /// The page is XML too, apart from its first line, so that a parser finds what is not closed.
  private func read(_ page: HTMLPage) -> SVGReader {
    let html = page.html
    #expect(html.hasPrefix("<!DOCTYPE html>\n"))
    let reader = SVGReader(String(html.dropFirst("<!DOCTYPE html>\n".count)))
    #expect(reader.error == nil)
    return reader
  }

  @Test func `the sample page is well-formed and has two widths of each picture`() {
    let reader = read(Sample().page)
    let pictures = reader.elements.filter { $0.name == "svg" }
    #expect(pictures.count == 14)
    #expect(pictures.count { $0.attributes["width"] == "960.0" } == 7)
    #expect(pictures.count { $0.attributes["width"] == "360.0" } == 7)
    #expect(reader.count("script") == 0 && reader.count("img") == 0 && reader.count("link") == 0)
    #expect(reader.elements.allSatisfy { $0.attributes["id"] == nil || $0.name == "section" })
  }

  @Test func `text of the caller is never markup`() {
    let evil = "</style></title><script>alert(1)</script>&\"' onload=\"x"
    var table = HTMLTable(evil, columns: [evil, evil])
    table.add(evil, [.text(evil)])
    table.add(evil, [.missing(evil)])
    let picture = StripPlot(
      evil, axis: Axis(evil), rows: [.init(evil, group: evil, note: evil)],
      references: [.init(evil, Datum(1, key: evil))])
    let inline: [HTMLPage.Inline] = [
      .text(evil), .strong(evil), .code(evil), .written(evil, Datum(1, key: evil)),
      .link(evil, to: "javascript:alert(1)"), .link(evil, to: "#x\"" + evil),
    ]
    let page = HTMLPage(
      evil, introduction: [.paragraph(inline), .list([inline])],
      sections: [
        .init(
          evil, name: evil,
          [
            .table(table), .picture(picture, caption: inline), .lines(evil),
            .details(evil, [.paragraph(inline)]),
          ])
      ])
    let reader = read(page)
    #expect(reader.count("script") == 0)
    #expect(reader.elements.allSatisfy { $0.attributes["onload"] == nil })
    #expect(!page.html.contains("javascript:"))
  }

  @Test func `cells carry their numbers`() {
    var table = HTMLTable("", columns: ["way", "time", "range"])
    table.add(
      "way",
      [
        .number(Datum(0.0015, key: "a.0"), .seconds),
        .numbers([
          .number(Datum(1, key: "b"), .factor), .text(" to "), .written("two", Datum(2, key: "c")),
        ]),
      ])
    table.add("none", [.missing(""), .missing("no KVM")])
    let html = HTMLPage("title", introduction: [.table(table)]).html
    for part in [
      "<td class=\"number\" data-key=\"a.0\" data-value=\"0.0015\">1.5 ms</td>",
      "<td class=\"number\"><span data-key=\"b\" data-value=\"1.0\">1x</span> to "
        + "<span data-key=\"c\" data-value=\"2.0\">two</span></td>",
      "<td class=\"missing\">\u{2013}</td><td class=\"missing\">no KVM</td>",
      "<th scope=\"row\">way</th>", "<th scope=\"col\" class=\"number\">time</th>",
    ] {
      #expect(html.contains(part), "\(part)")
    }
  }

  @Test func `lines keep their breaks`() {
    let html = HTMLPage("title", introduction: [.lines("a <\n  b\n")]).html
    #expect(html.contains("<pre tabindex=\"0\">a &lt;\n  b\n</pre>"))
  }

  @Test func `dark, narrow and printed pages have their rules`() {
    let html = HTMLPage("title").html
    for rule in [
      "@media screen and (prefers-color-scheme: dark)", "@media print", "@media (max-width: 719px)",
    ] {
      #expect(html.contains(rule))
    }
  }
}
