import DiffTraining
import Testing
import TestSupport

/// all-MiniLM-L6-v2 against PyTorch's numbers in `../shared/data/golden`.
@Suite(.enabled(if: Repository.haveShared, "needs ../shared/data"))
struct MiniLMTests {
  private let golden: GoldenModel

  init() throws { golden = try .shared() }

  @Test("every hidden state is PyTorch's within 2e-5", arguments: ["single", "pair"])
  func hiddenStates(group: String) throws { try golden.expectHiddenStates(group) }

  @Test("loss and gradients of a head on the first token are PyTorch's")
  func gradients() throws { try golden.expectGradients(whole: 5) }

  @Test(
    "in bf16 scores are PyTorch's within 0.02, the loss within 0.002, gradients within 3 %",
    .enabled(if: Precision.bf16.isAvailable, "needs a processor with bf16"))
  func half() throws { try golden.expectHalf() }
}
