internal import HoldfastCore
internal import HoldfastMonitor
internal import HoldfastTemplate

/// What the metrics say of a template and its clones. Clones have no metrics of their own, since
/// their names come and go: `holdfast template show` lists them.
struct TemplateReading: Hashable, Sendable {
  let name: String
  let books: CloneBooks

  /// The templates on a mount, by name; none where it has no folder of templates.
  ///
  /// - Complexity: O(pages of the clones).
  static func all(onMount mount: String) -> [TemplateReading] {
    guard TemplateStore.isPresent(onMount: mount), let store = try? TemplateStore(mount: mount)
    else { return [] }
    return ((try? store.names()) ?? []).compactMap { name in
      // One that is removed meanwhile is left out.
      (try? store.template(name)).map { TemplateReading(name: name.text, books: CloneBooks($0)) }
    }
  }

  /// The sum of a property of all clones, or nil where it is not known of one of them.
  private func sum(_ property: (CloneBooks.Entry) -> UInt64?) -> UInt64? {
    books.clones.reduce(UInt64(0)) { sum, clone in
      guard let sum, let value = property(clone) else { return nil }
      return sum + value
    }
  }

  /// Adds the metrics of templates to a page.
  static func add(_ readings: [TemplateReading], to page: inout Exposition) {
    let families: [(String, String, (TemplateReading) -> UInt64?)] = [
      ("template_bytes", "Memory of a template.", { $0.books.memory.rawValue }),
      ("template_clones", "Running clones of a template.", { UInt64($0.books.clones.count) }),
      (
        "template_clone_promised_bytes", "Private memory that the clones were promised.",
        { reading in reading.sum { $0.promised.rawValue } }
      ),
      (
        "template_clone_own_bytes", "Private memory that the clones have.",
        { reading in reading.sum { $0.own?.rawValue } }
      ),
      (
        "template_clone_shared_bytes", "Memory of the template that the clones have mapped.",
        { reading in reading.sum { $0.shared?.rawValue } }
      ),
      (
        "template_clone_copies", "Pages that were copied for the clones that run.",
        { reading in reading.sum { $0.copies } }
      ),
      (
        "template_separate_bytes", "Memory that as many separate guests would take.",
        { $0.books.separate.rawValue }
      ),
    ]
    if readings.isEmpty { return }
    for (name, help, value) in families {
      page.family(name, .gauge, help)
      for reading in readings {
        if let value = value(reading) { page.sample(name, ["template": reading.name], value) }
      }
    }
  }
}
