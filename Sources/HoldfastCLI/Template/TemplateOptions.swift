internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastReservoir
internal import HoldfastTemplate

/// The folder with the templates that a command uses.
struct TemplatePlaceOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The mount with the templates: a hugetlbfs mount or a folder on tmpfs with a reservoir, or a "
        + "folder of another file system. (default: the only mount with a reservoir)",
      valueName: "folder"))
  var mount: String?

  func store() throws -> TemplateStore {
    let store = try TemplateStore(mount: try mount.map(absolute) ?? ReservoirMounts.only())
    try store.recover()
    return store
  }
}

/// The template that a command is about.
struct TemplateNameOptions: ParsableArguments {
  @Argument(
    help: ArgumentHelp("The name of the template.", valueName: "name"),
    transform: { try templateName($0) })
  var name: TemplateName

  @OptionGroup var place: TemplatePlaceOptions
}

/// Reads a template's name; throws the error type that the parser prints.
func templateName(_ text: String) throws -> TemplateName {
  do throws(HoldfastError) {
    return try TemplateName(text)
  } catch {
    throw Size.Problem(description: error.reason)
  }
}
