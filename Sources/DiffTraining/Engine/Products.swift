#if Training
import COneDNN
import TensorCore

/// One thread's products with packed matrices, which oneDNN multiplies faster than
/// `OneDNN.multiply` does, and also in bf16.
///
/// oneDNN generates machine code for each number of rows: products are divided into ranges of
/// rows, so that there are few such numbers.
@safe final class Products: @unchecked Sendable {
  private let engine: dnnl_engine_t
  private let stream: dnnl_stream_t
  private var products: [ProductShape: Product] = [:]
  private var packings: [ProductShape: Packing] = [:]
  private var kept: [Int: Packed] = [:]
  /// The memory of a packed matrix that is not kept.
  private var temporary = FloatBuffer(count: 0)
  private var scratch = FloatBuffer(count: 0)

  /// A packed matrix, the second factor of products.
  struct Packed {
    /// [inner, columns].
    fileprivate let packing: Packing
    fileprivate let memory: FloatBuffer
  }

  init() throws(DiffError) {
    var engine: dnnl_engine_t?
    var stream: dnnl_stream_t?
    guard unsafe dnnl_engine_create(&engine, dnnl_cpu, 0) == dnnl_success,
      let engine = unsafe engine,
      unsafe dnnl_stream_create(&stream, engine, UInt32(dnnl_stream_default_flags.rawValue))
        == dnnl_success,
      let stream = unsafe stream
    else { throw DiffError(.unsupported, "oneDNN does not support this processor") }
    unsafe self.engine = engine
    unsafe self.stream = stream
  }

  deinit {
    products = [:]
    packings = [:]
    kept = [:]
    unsafe dnnl_stream_destroy(stream)
    unsafe dnnl_engine_destroy(engine)
  }

  /// Packs a matrix; overwrites the one packed before unless that is kept.
  ///
  /// - Parameters:
  ///   - b: [columns, inner] if transposed, else [inner, columns].
  ///   - result: A matrix with the stride of the products' results.
  ///   - asHalf: True if it is multiplied in bf16.
  ///   - key: The key under which it is kept and found again; nil to not keep it.
  func pack(
    _ b: FloatMatrix, isTransposed: Bool, for result: FloatMatrix, asHalf: Bool,
    keptAs key: Int? = nil
  ) -> Packed {
    if let key, let packed = kept[key] { return packed }
    let (inner, columns) = isTransposed ? (b.columns, b.rows) : (b.rows, b.columns)
    let shape = ProductShape(
      rows: Self.mostRows, columns: columns, inner: inner, aStrides: [inner, 1],
      bStrides: isTransposed ? [1, b.stride] : [b.stride, 1], cStride: result.stride,
      isHalf: asHalf)
    let packing = packings[shape] ?? (unsafe Packing(engine, shape))
    packings[shape] = packing
    let memory: FloatBuffer
    if key == nil {
      if temporary.count < packing.floats { temporary = FloatBuffer(count: packing.floats) }
      memory = temporary
    } else {
      memory = FloatBuffer(count: packing.floats)
    }
    unsafe packing.run(stream, b, memory)
    let packed = Packed(packing: packing, memory: memory)
    if let key { kept[key] = packed }
    return packed
  }

  /// Releases the packed matrices that were kept.
  func forget() { kept = [:] }

  /// Sets c to a · b, or adds that to c.
  ///
  /// - Parameter finish: Called with each range of rows of c when it is complete.
  func multiply(
    _ a: some Factor, _ b: Packed, adding: Bool = false, into c: FloatMatrix,
    finish: (Range<Int>) -> Void = { _ in }
  ) {
    let shape = b.packing.shape
    precondition(c.columns == shape.columns && a.columns == shape.inner && a.rows == c.rows)
    for rows in Self.ranges(ofRows: a.rows) {
      let product = product(
        ProductShape(
          rows: rows.count, columns: c.columns, inner: shape.inner, aStrides: [a.stride, 1],
          bStrides: [], cStride: c.stride, isHalf: shape.isHalf, isAdding: adding), b.packing)
      unsafe product.run(
        stream, a.rows(rows).start, b.memory.pointer(), into: c.rows(rows).pointer,
        scratch: scratch)
      finish(rows)
    }
  }

  /// Adds aᵀ · b to c, with factors in bf16.
  ///
  /// - Parameters:
  ///   - a: [k, m].
  ///   - b: [k, n].
  ///   - c: [m, n].
  func add(transposed a: HalfMatrix, _ b: HalfMatrix, to c: FloatMatrix) {
    precondition(a.rows == b.rows && c.rows == a.columns && c.columns == b.columns)
    let product = product(
      ProductShape(
        rows: c.rows, columns: c.columns, inner: a.rows, aStrides: [1, a.stride],
        bStrides: [b.stride, 1], cStride: c.stride, isHalf: true, isAdding: true), nil)
    unsafe product.run(stream, a.pointer, b.pointer, into: c.pointer, scratch: scratch)
  }

  private func product(_ shape: ProductShape, _ packing: Packing?) -> Product {
    if let product = products[shape] { return product }
    let product = unsafe Product(engine, shape, packing)
    products[shape] = product
    if scratch.count < product.scratchFloats {
      scratch = FloatBuffer(count: product.scratchFloats)
    }
    return product
  }

  /// The maximum number of rows of a product.
  private static let mostRows = 256

  /// Returns ranges of `mostRows` rows, then one of a multiple of 32 rows, then the rest.
  private static func ranges(ofRows rows: Int) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    var start = 0
    while start < rows {
      let left = rows - start
      let count = left >= mostRows ? mostRows : left >= 32 ? left / 32 * 32 : left
      ranges.append(start..<start + count)
      start += count
    }
    return ranges
  }
}

/// The shape and element type that a product is created for.
private struct ProductShape: Hashable {
  let rows, columns, inner: Int
  /// The strides of rows and of columns; those of b are empty if it is packed.
  let aStrides, bStrides: [Int]
  let cStride: Int
  let isHalf: Bool
  var isAdding = false

  var inC: dk_product_shape {
    dk_product_shape(
      rows: Int64(rows), columns: Int64(columns), inner: Int64(inner),
      a_row: Int64(aStrides[0]), a_column: Int64(aStrides[1]),
      b_row: Int64(bStrides.first ?? 0), b_column: Int64(bStrides.last ?? 0),
      c_row: Int64(cStride), type: isHalf ? dnnl_bf16 : dnnl_f32, is_adding: isAdding ? 1 : 0)
  }
}

/// A matrix product of oneDNN for one shape.
@safe private final class Product {
  private var product = unsafe dk_product()
  var scratchFloats: Int { unsafe Int(product.scratch_bytes) / 4 + 16 }

  init(_ engine: dnnl_engine_t, _ shape: ProductShape, _ packing: Packing?) {
    let status: dnnl_status_t
    if let packing {
      status = unsafe dk_product_make(&product, engine, shape.inC, &packing.packing)
    } else {
      status = unsafe dk_product_make(&product, engine, shape.inC, nil)
    }
    precondition(status == dnnl_success, "oneDNN cannot create the product \(shape)")
  }

  deinit { unsafe dk_product_free(&product) }

  func run(
    _ stream: dnnl_stream_t, _ a: UnsafeRawPointer, _ b: UnsafeRawPointer,
    into c: UnsafeMutablePointer<Float>, scratch: FloatBuffer
  ) {
    let status = unsafe dk_product_run(&product, stream, a, b, c, scratch.pointer())
    precondition(status == dnnl_success, "oneDNN failed to multiply matrices")
  }
}

/// A conversion to oneDNN's packed layout for one shape.
@safe private final class Packing {
  let shape: ProductShape
  fileprivate var packing = unsafe dk_packing()
  var floats: Int { unsafe Int(packing.bytes) / 4 + 16 }

  init(_ engine: dnnl_engine_t, _ shape: ProductShape) {
    self.shape = shape
    let status = unsafe dk_packing_make(&packing, engine, shape.inC)
    precondition(status == dnnl_success, "oneDNN cannot pack weights of \(shape)")
  }

  deinit { unsafe dk_packing_free(&packing) }

  func run(_ stream: dnnl_stream_t, _ b: FloatMatrix, _ memory: FloatBuffer) {
    let status = unsafe dk_packing_run(&packing, stream, b.pointer, memory.pointer())
    precondition(status == dnnl_success, "oneDNN failed to pack weights")
  }
}
#endif
