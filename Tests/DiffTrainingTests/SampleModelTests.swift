import DiffTraining
import Testing
import TestSupport

/// The small MiniLM in `samples` against PyTorch's numbers.
@Suite struct SampleModelTests {
  private let golden: GoldenModel

  init() throws { golden = try .sample() }

  @Test("every hidden state is PyTorch's within 2e-5", arguments: ["single", "pair"])
  func hiddenStates(group: String) throws { try golden.expectHiddenStates(group) }

  @Test("loss and gradients of a head on the first token are PyTorch's")
  func gradients() throws { try golden.expectGradients(whole: 4) }

  @Test(
    "in bf16 scores are PyTorch's within 0.02, the loss within 0.002, gradients within 3 %",
    .enabled(if: Precision.bf16.isAvailable, "needs a processor with bf16"))
  func half() throws { try golden.expectHalf() }

  @Test("only rows of tables that the batch has are touched, and clear makes all zero again")
  func touchedRows() throws {
    let (model, examples) = (golden.model, try golden.labelled())
    let gradients = Gradients(model.layout)
    _ = try model.addGradients(
      of: examples, at: golden.values, scale: 1, dropout: nil, to: gradients)
    let words = try #require(model.layout["embeddings/word_embeddings/weight"])
    let touched = try #require(gradients.touchedRows(of: words.index))
    #expect(Set(touched) == Set(examples.flatMap { $0.ids.map(Int.init) }))
    #expect(touched.count == Set(touched).count)
    let nonzero = gradients.values.elements(words.range).enumerated().filter { $0.element != 0 }
    #expect(Set(nonzero.map { $0.offset / 384 }).isSubset(of: Set(touched)))
    #expect(gradients.ranges(of: words.index).reduce(0) { $0 + $1.count } == touched.count * 384)
    gradients.clear()
    #expect(gradients.touchedRows(of: words.index) == [])
    #expect(gradients.values.elements(0..<model.layout.count).allSatisfy { $0 == 0 })
  }
}
