/// The phrases that text for people must not have; CONTRIBUTING.md says what to write instead.
enum PlainEnglish {
  /// Lower case, words separated by one space.
  private static let banned = [
    "all the same", "anybody", "as far as", "at it", "books", "bring in", "bringing in",
    "brings in",
    "brought in", "by chance", "comes to lie", "everybody", "for want of", "gave back", "give back",
    "given back", "gives back", "giving back", "go away", "goes on", "in hand", "is none",
    "is of no use", "are of no use", "mends", "moreover", "nobody", "of its own", "of one's own",
    "of their own", "says so", "somebody", "someone", "such as there are", "take memory",
    "taken away", "takes memory", "tell", "tells", "to be had", "told", "toucher", "touches",
    "whoever", "without end",
  ]

  /// The phrases of the list in a text. What stands between single quotes is a name or input, which
  /// may be anything.
  static func bannedPhrases(in text: String) -> [String] {
    var isQuoted = false
    var plain = ""
    var previous: Character = " "
    let characters = Array(text)
    for (index, character) in characters.enumerated() {
      let next = index + 1 < characters.count ? characters[index + 1] : " "
      // An apostrophe within or at the end of a word begins no quotation.
      if character == "'", isQuoted || (!previous.isLetter && !next.isWhitespace) {
        isQuoted.toggle()
      } else if !isQuoted {
        plain.append(character.isLetter || character == "'" ? character : " ")
      }
      previous = character
    }
    let words = " " + plain.lowercased().split(separator: " ").joined(separator: " ") + " "
    return banned.filter { words.contains(" \($0) ") }
  }
}
