import Foundation
import HoldfastCore
import HoldfastLinux
import HoldfastMonitor
import HoldfastTemplate
import Testing

@testable import HoldfastService

/// The books of a template whose clone is this process, which knows what it touches.
struct TemplateMetricsTests {
  /// A folder with a template of 1 MiB that is full of ones.
  private final class Place {
    let path: String
    let template: Template

    init() throws {
      path = try #require(
        mkdtemp(strdup("/var/tmp/holdfast-templates-XXXXXX")).map { String(cString: $0) })
      let store = try TemplateStore(mount: path)
      let draft = try store.begin(try TemplateName("base"))
      let size = ByteCount.mebibytes(1)
      do {
        let file = try draft.makeMemory(size)
        let ones = [UInt8](repeating: 1, count: Int(size.rawValue))
        #expect(pwrite(file.descriptor, ones, ones.count, 0) == ones.count)
      }
      try draft.writeState(Array("state".utf8))
      try draft.writeAbout(
        TemplateAbout(size: size, pageSize: .kibibytes(4), created: 1, stateBytes: 5))
      try draft.commit()
      template = try draft.finish(timeout: .zero)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
  }

  @Test func booksOfAClone() throws {
    let place = try Place()
    let record = try place.template.note(
      clone: try TemplateName("one"), promise: .kibibytes(512))
    try record.note(try HostProcess(getpid()))
    let file = open(place.template.memoryPath, O_RDONLY)
    let length = Int(place.template.size.rawValue)
    let memory = try #require(
      mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0))
    defer {
      munmap(memory, length)
      close(file)
    }
    madvise(memory, length, MADV_RANDOM)
    for page in [3, 4, 200] {
      memory.storeBytes(of: UInt8(page), toByteOffset: page * 4096, as: UInt8.self)
    }
    #expect(memory.load(fromByteOffset: 100 * 4096, as: UInt8.self) == 1)

    let books = CloneBooks(place.template)
    let clone = try #require(books.clones.first)
    #expect(books.clones.count == 1 && clone.name == "one" && clone.process == getpid())
    #expect(clone.promised == .kibibytes(512) && (clone.seconds ?? 99) < 60)
    #expect(clone.own == .kibibytes(12) && clone.copies == 3)
    // The kernel may map pages around one that is read.
    #expect((clone.shared ?? .zero) >= .kibibytes(4))
    #expect(books.sum.rawValue == books.memory.rawValue + 12 << 10)
    #expect(books.separate == .mebibytes(1))

    var page = Exposition()
    TemplateReading.add(TemplateReading.all(onMount: place.path), to: &page)
    for line in [
      "template_clones{template=\"base\"} 1",
      "template_clone_promised_bytes{template=\"base\"} 524288",
      "template_clone_own_bytes{template=\"base\"} 12288",
      "template_clone_copies{template=\"base\"} 3",
      "template_separate_bytes{template=\"base\"} 1048576",
    ] { #expect(page.text.contains("holdfast_reservoir_" + line + "\n"), "\(page.text)") }
    // What the clone wrote has not reached the template.
    let bytes = try place.template.memory.bytes(at: 3 * 4096, count: 4096)
    #expect(bytes.allSatisfy { $0 == 1 })
    record.end()
    #expect(place.template.clones().isEmpty)
  }

  @Test func noTemplates() throws {
    var page = Exposition()
    TemplateReading.add(TemplateReading.all(onMount: "/proc"), to: &page)
    #expect(page.text.isEmpty)
  }

  /// The pages that a clone touched are kept, in order, and its copies told apart.
  @Test func touchedPages() throws {
    let place = try Place()
    let file = open(place.template.memoryPath, O_RDONLY)
    let length = Int(place.template.size.rawValue)
    let memory = try #require(
      mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0))
    defer {
      munmap(memory, length)
      close(file)
    }
    let process = try HostProcess(getpid())
    let mappings = try ProcessMapping.mappings(
      of: try place.template.memory.status(), path: place.template.memoryPath, in: process)
    let mapping = try #require(mappings.first)
    #expect(mappings.count == 1 && mapping.isWritable && !mapping.isShared)
    let touches = ClonePages(place.template, mappings, process)
    memory.storeBytes(of: 7, toByteOffset: 9 * 4096, as: UInt8.self)
    var looks = 0
    touches.record {
      looks += 1
      if looks == 3 { memory.storeBytes(of: 7, toByteOffset: 2 * 4096, as: UInt8.self) }
      return looks > 12
    }
    let set = try #require(place.template.workingSet())
    #expect(set.pageSize == .kibibytes(4))
    #expect(set.pages.filter(\.isWritten).map(\.number) == [9, 2])

    // The next clone gets copies of what the first one wrote, with the same contents.
    munmap(memory, length)
    let next = try #require(
      mmap(memory, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file, 0))
    let again = ClonePages(
      place.template,
      try ProcessMapping.mappings(
        of: try place.template.memory.status(), path: place.template.memoryPath, in: process),
      process)
    #expect(again.bringInWritten() == 2)
    #expect(try again.bytes().own == .kibibytes(8))
    #expect(next.load(fromByteOffset: 9 * 4096, as: UInt8.self) == 1)
  }
}
