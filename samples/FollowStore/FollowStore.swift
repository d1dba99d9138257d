// One process appends steps to a store, another one follows and serves the newest:
//
//   swift run -c release FollowStore append runs 10 &
//   swift run -c release FollowStore follow runs 10
//
// The store is made by `diffkit store init runs model.safetensors`. A step here changes an element of
// each tensor; in earnest a trainer writes its checkpoints.
import DiffStore

@main struct FollowStore {
  static func main() async throws {
    let arguments = Array(CommandLine.arguments.dropFirst())
    guard arguments.count == 3, let steps = Int(arguments[2]), steps > 0 else {
      return print("usage: FollowStore append|follow STORE STEPS")
    }
    switch arguments[0] {
    case "append": try append(steps, to: Store(arguments[1]))
    case "follow": try await follow(steps, Store(arguments[1]))
    default: print("usage: FollowStore append|follow STORE STEPS")
    }
  }

  /// Adds so many steps upon the newest version.
  static func append(_ steps: Int, to store: Store) throws {
    for _ in 0..<steps {
      let number = store.index.versions.count
      let path = "\(store.path)-step-\(number)"
      _ = try store.get(store.index.versions[number - 1].name, to: path, overwriting: true)
      let checkpoint = try CheckpointFile.open(path)
      let output = try checkpoint.makeOutput(at: path, rewriting: [], overwriting: true)
      for tensor in checkpoint.tensors where tensor.shape.count > 0 {
        let width = tensor.type.width
        let place = UInt64(number) % tensor.shape.count * UInt64(width)
        var element = [UInt8](repeating: 0, count: width)
        var span = element.mutableSpan
        try checkpoint.read(tensor, at: place, into: &span)
        element[0] &+= 1
        try output.write(element.span, to: tensor, at: place)
      }
      try output.commit()
      var options = AddOptions()
      options.name = "step-\(number)"
      let added = try store.add(CheckpointFile.open(path), options).version
      print("added \(added.name), \(added.link?.file.size ?? 0) bytes")
    }
  }

  /// Serves the newest version, until the store has so many more.
  static func follow(_ steps: Int, _ store: Store) async throws {
    let begin = store.index.versions
    let follower = try Follower(store, at: begin[begin.count - 1].name)
    print("at \(follower.version.name)")
    let clock = ContinuousClock()
    repeat {
      try store.refresh()
      guard let newest = store.index.versions.last, newest.name != follower.version.name else {
        try await Task.sleep(for: .milliseconds(20))
        continue
      }
      let preparation = try clock.measure { try follower.prepare(newest.name) }
      let commit = try clock.measure { _ = try follower.commit() }
      let tensors = follower.read { view, _ in view.names.count }
      print(
        "at \(newest.name): \(tensors) tensors, prepared in \(preparation), committed in \(commit)")
    } while store.index.versions.count < begin.count + steps
  }
}
