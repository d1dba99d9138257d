#if Training
  /// A batch of sequences without padding: their tokens lie one after the other.
  ///
  /// T is the number of tokens of all sequences together, B the number of sequences.
  public struct PackedBatch: Sendable, Hashable {
    /// What the sequences should be answered with, in their order.
    public enum Labels: Sendable, Hashable {
      /// Nothing is known: the batch is to be predicted.
      case none
      /// The class of each sequence: indices of the task's labels. [B]
      case classes([Int32])
      /// The number of each sequence. [B]
      case values([Float])
      /// The first and the last token of each answer, counted within its sequence; 0, that is
      /// [CLS], where the text has no answer. [B]
      case spans(first: [Int32], last: [Int32])
    }

    /// Token ids. [T]
    public var ids: [Int32] = []
    /// The segment of each token: 0, or 1 in the second text of a pair. [T]
    public var typeIDs: [Int32] = []
    /// The place of each token within its sequence, from 0. [T]
    public var positions: [Int32] = []
    /// Where the sequences begin: sequence i is `offsets[i]..<offsets[i + 1]`. [B + 1]
    public var offsets: [Int] = [0]
    /// The answers.
    public var labels = Labels.none
    /// Which examples of the data set the sequences are. [B]
    public var examples: [Int] = []

    /// A batch without sequences.
    public init() {}

    /// How many sequences there are: B.
    public var count: Int { offsets.count - 1 }

    /// Appends a sequence.
    public mutating func append(ids: [Int32], typeIDs: [Int32], example: Int) {
      self.ids += ids
      self.typeIDs += typeIDs
      positions += 0..<Int32(ids.count)
      offsets.append(self.ids.count)
      examples.append(example)
    }
  }
#endif
