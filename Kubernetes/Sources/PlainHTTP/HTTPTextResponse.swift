/// What a server answers: a status and a text.
package struct HTTPTextResponse: Hashable, Sendable {
  package var status: Int
  package var text: String
  package var type: String

  package init(_ status: Int, _ text: String, type: String = "text/plain; charset=utf-8") {
    self.status = status
    self.text = text
    self.type = type
  }
}
