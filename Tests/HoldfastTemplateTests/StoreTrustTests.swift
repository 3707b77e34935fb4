import Foundation
import Glibc
import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastTemplate

/// Folders that other users may have changed are not used.
struct StoreTrustTests {
  /// A folder that is removed with the object.
  private final class Place {
    let path = "/var/tmp/holdfast-template-\(UUID())"

    init() throws { try #require(mkdir(path, 0o755) == 0 && chmod(path, 0o755) == 0) }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/holdfast/templates" + name }

    /// A template of two pages, made as by a monitor.
    func seal(_ name: String = "base") throws -> Template {
      let store = try TemplateStore(mount: path)
      let draft = try store.begin(TemplateName(name))
      _ = try draft.makeMemory(.kibibytes(8), isWhole: true)
      try draft.writeState([1, 2, 3])
      try draft.writeAbout(
        TemplateAbout(
          size: .kibibytes(8), pageSize: .kibibytes(4), created: 1, stateBytes: 3))
      try draft.commit()
      return try draft.finish(timeout: .seconds(5))
    }
  }

  private func code(_ body: () throws -> Void) -> HoldfastError.Code? {
    do {
      try body()
      return nil
    } catch {
      return (error as? HoldfastError)?.code
    }
  }

  @Test func aTemplate() throws {
    let place = try Place()
    let template = try place.seal()
    #expect(try template.state() == [1, 2, 3] && template.size == .kibibytes(8))
    let store = try TemplateStore(mount: place.path)
    #expect(try store.names().map(\.text) == ["base"] && store.draftNames() == [])
    #expect(code { _ = try store.begin(TemplateName("base")) } == .alreadyExists)
    // An open template is not removed; its object closes it.
    #expect(code { _ = try store.remove(TemplateName("base")) } == .busy)
    withExtendedLifetime(template) {}
  }

  @Test func removal() throws {
    let place = try Place()
    _ = try place.seal().path
    let store = try TemplateStore(mount: place.path)
    #expect(try store.remove(TemplateName("base")) == .kibibytes(8))
    #expect(code { _ = try store.remove(TemplateName("base")) } == .noTemplate)
    #expect(code { _ = try store.template(TemplateName("base")) } == .noTemplate)
  }

  @Test(arguments: ["", "/drafts", "/sealed"])
  func foldersThatOthersMayUse(_ name: String) throws {
    let place = try Place()
    _ = try place.seal()
    for mode: mode_t in [0o701, 0o710, 0o777] {
      try #require(chmod(place.file(name), mode) == 0)
      #expect(code { _ = try TemplateStore(mount: place.path) } == .untrusted)
    }
    try #require(chmod(place.file(name), 0o700) == 0)
    _ = try TemplateStore(mount: place.path)
  }

  @Test(arguments: ["", "/drafts", "/sealed"])
  func foldersThatAreLinks(_ name: String) throws {
    let place = try Place()
    _ = try place.seal()
    try #require(rename(place.file(name), place.path + "/old") == 0)
    try #require(symlink(place.path + "/old", place.file(name)) == 0)
    #expect(code { _ = try TemplateStore(mount: place.path) } != nil)
  }

  @Test func mountsThatOthersMayWriteTo() throws {
    let place = try Place()
    try #require(chmod(place.path, 0o777) == 0)
    #expect(code { _ = try TemplateStore(mount: place.path) } == .untrusted)
  }

  @Test(
    .enabled(if: HostNeeds.isRoot, "needs root to make another user's files"),
    arguments: ["/drafts", "/sealed", "/sealed/base/memory"])
  func anotherUsersFiles(_ name: String) throws {
    let place = try Place()
    _ = try place.seal()
    try #require(chown(place.file(name), 65534, 65534) == 0)
    #expect(
      code {
        _ = try TemplateStore(mount: place.path).template(TemplateName("base"))
      } == .untrusted)
  }

  @Test(.enabled(if: HostNeeds.isRoot, "needs root to make another user's folder"))
  func anotherUsersMount() throws {
    let place = try Place()
    _ = try place.seal()
    try #require(chown(place.path, 65534, 65534) == 0)
    #expect(code { _ = try TemplateStore(mount: place.path) } == .untrusted)
  }

  /// Two processes that make the same template: one of them does.
  @Test func oneNameAtATime() throws {
    let place = try Place()
    let store = try TemplateStore(mount: place.path)
    let first = try store.begin(TemplateName("base"))
    #expect(code { _ = try store.begin(TemplateName("base")) } == .alreadyExists)
    // Another command leaves the draft of a process that lives.
    try TemplateStore(mount: place.path).recover()
    #expect(first.exists)
    #expect(!first.end() && !first.exists)
    _ = try store.begin(TemplateName("base"))
  }

  @Test func sizesThatCannotBeShared() throws {
    let place = try Place()
    let draft = try TemplateStore(mount: place.path).begin(TemplateName("base"))
    #expect(code { _ = try draft.makeMemory(ByteCount(5000)) } == .invalidArgument)
    #expect(
      code {
        try draft.writeAbout(
          TemplateAbout(size: ByteCount(5000), pageSize: .kibibytes(4), created: 1))
      } == .invalidArgument)
    #expect(code { _ = try draft.makeMemory(.tebibytes(1000), isWhole: true) } != nil)
    #expect(!draft.end())
  }
}
