// oneDNN, and over its primitives the two things that diffkit asks of them: to pack a matrix, and
// to multiply one by a packed one. What differs between the versions 2 and 3 of the interface stays
// in this file.
#ifndef DIFFKIT_ONEDNN_H
#define DIFFKIT_ONEDNN_H
#include <oneapi/dnnl/dnnl.h>
#include <stdint.h>

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t dk_desc_pointer;
typedef dnnl_memory_desc_t dk_desc;
#define DK_POINTER(desc) (desc)

static inline dnnl_status_t dk_desc_make(dk_desc *desc, int64_t rows, int64_t columns,
                                         dnnl_data_type_t type, int64_t row, int64_t column) {
  dnnl_dims_t dims = {rows, columns}, strides = {row, column};
  return dnnl_memory_desc_create_with_strides(desc, 2, dims, type, strides);
}

static inline dnnl_status_t dk_desc_any(dk_desc *desc, int64_t rows, int64_t columns,
                                        dnnl_data_type_t type) {
  dnnl_dims_t dims = {rows, columns};
  return dnnl_memory_desc_create_with_tag(desc, 2, dims, type, dnnl_format_tag_any);
}

static inline void dk_desc_free(dk_desc *desc) { dnnl_memory_desc_destroy(*desc); }

static inline dnnl_status_t dk_desc_copy(dk_desc *desc, dk_desc_pointer from) {
  return dnnl_memory_desc_clone(desc, from);
}
#else
typedef const dnnl_memory_desc_t *dk_desc_pointer;
typedef dnnl_memory_desc_t dk_desc;
#define DK_POINTER(desc) (&(desc))

static inline dnnl_status_t dk_desc_make(dk_desc *desc, int64_t rows, int64_t columns,
                                         dnnl_data_type_t type, int64_t row, int64_t column) {
  dnnl_dims_t dims = {rows, columns}, strides = {row, column};
  return dnnl_memory_desc_init_by_strides(desc, 2, dims, type, strides);
}

static inline dnnl_status_t dk_desc_any(dk_desc *desc, int64_t rows, int64_t columns,
                                        dnnl_data_type_t type) {
  dnnl_dims_t dims = {rows, columns};
  return dnnl_memory_desc_init_by_tag(desc, 2, dims, type, dnnl_format_tag_any);
}

static inline void dk_desc_free(dk_desc *desc) { (void)desc; }

static inline dnnl_status_t dk_desc_copy(dk_desc *desc, dk_desc_pointer from) {
  *desc = *from;
  return dnnl_success;
}
#endif

// A product c = a b, or c += a b: rows * columns is the shape of c, inner what is summed over.
// Strides are those of a's rows and columns, of b's rows and columns, of c's rows.
typedef struct {
  int64_t rows, columns, inner;
  int64_t a_row, a_column, b_row, b_column, c_row;
  dnnl_data_type_t type;  // of a and b; c is float32
  int is_adding;
} dk_product_shape;

typedef struct {
  dnnl_primitive_t primitive;
  dnnl_memory_t a, b, c, scratch;
  int64_t scratch_bytes;
} dk_product;

// Brings b of a product into the order that oneDNN likes best, from float32.
typedef struct {
  dnnl_primitive_t primitive;
  dnnl_memory_t from, to;
  dk_desc desc;
  int64_t bytes;
} dk_packing;

#define DK_TRY(call)                                                                          \
  do {                                                                                        \
    if (status == dnnl_success) status = (call);                                              \
  } while (0)

// The description of a matmul: of a packed b if there is one, any b if `is_any`.
static inline dnnl_status_t dk_matmul(dnnl_engine_t engine, dk_product_shape s,
                                      const dk_packing *packing, int is_any,
                                      dnnl_primitive_desc_t *out) {
  dnnl_status_t status = dnnl_success;
  dk_desc a, b, c;
  dnnl_primitive_attr_t attr = NULL;
  dnnl_post_ops_t ops = NULL;
  DK_TRY(dk_desc_make(&a, s.rows, s.inner, s.type, s.a_row, s.a_column));
  if (is_any) DK_TRY(dk_desc_any(&b, s.inner, s.columns, s.type));
  else if (packing) DK_TRY(dk_desc_copy(&b, DK_POINTER(packing->desc)));
  else DK_TRY(dk_desc_make(&b, s.inner, s.columns, s.type, s.b_row, s.b_column));
  DK_TRY(dk_desc_make(&c, s.rows, s.columns, dnnl_f32, s.c_row, 1));
  DK_TRY(dnnl_primitive_attr_create(&attr));
  DK_TRY(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user));
  if (s.is_adding) {
    DK_TRY(dnnl_post_ops_create(&ops));
#if DNNL_VERSION_MAJOR >= 3
    DK_TRY(dnnl_post_ops_append_sum(ops, 1, 0, dnnl_data_type_undef));
#else
    DK_TRY(dnnl_post_ops_append_sum(ops, 1));
#endif
    DK_TRY(dnnl_primitive_attr_set_post_ops(attr, ops));
  }
#if DNNL_VERSION_MAJOR >= 3
  DK_TRY(dnnl_matmul_primitive_desc_create(out, engine, a, b, NULL, c, attr));
#else
  dnnl_matmul_desc_t desc;
  DK_TRY(dnnl_matmul_desc_init(&desc, &a, &b, NULL, &c));
  DK_TRY(dnnl_primitive_desc_create(out, &desc, attr, engine, NULL));
#endif
  if (ops) dnnl_post_ops_destroy(ops);
  if (attr) dnnl_primitive_attr_destroy(attr);
  if (status == dnnl_success) {
    dk_desc_free(&a);
    dk_desc_free(&b);
    dk_desc_free(&c);
  }
  return status;
}

// What is made is freed with its owner, whether making it succeeds or not.
static inline dnnl_status_t dk_product_make(dk_product *p, dnnl_engine_t engine,
                                            dk_product_shape shape, const dk_packing *packing) {
  dnnl_primitive_desc_t desc = NULL;
  dnnl_status_t status = dk_matmul(engine, shape, packing, 0, &desc);
  if (status != dnnl_success) return status;
#define DK_MEMORY(FIELD, WHAT)                                                                \
  DK_TRY(dnnl_memory_create(&p->FIELD, dnnl_primitive_desc_query_md(desc, WHAT, 0), engine,   \
                            DNNL_MEMORY_NONE))
  DK_MEMORY(a, dnnl_query_src_md);
  DK_MEMORY(b, dnnl_query_weights_md);
  DK_MEMORY(c, dnnl_query_dst_md);
  DK_MEMORY(scratch, dnnl_query_scratchpad_md);
  p->scratch_bytes = (int64_t)dnnl_memory_desc_get_size(
    dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0));
  DK_TRY(dnnl_primitive_create(&p->primitive, desc));
  dnnl_primitive_desc_destroy(desc);
  return status;
}

static inline dnnl_status_t dk_product_run(const dk_product *p, dnnl_stream_t stream,
                                           const void *a, const void *b, float *c,
                                           void *scratch) {
  dnnl_status_t status = dnnl_success;
  DK_TRY(dnnl_memory_set_data_handle(p->a, (void *)a));
  DK_TRY(dnnl_memory_set_data_handle(p->b, (void *)b));
  DK_TRY(dnnl_memory_set_data_handle(p->c, c));
  DK_TRY(dnnl_memory_set_data_handle(p->scratch, scratch));
  dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, p->a},
                                 {DNNL_ARG_WEIGHTS, p->b},
                                 {DNNL_ARG_DST, p->c},
                                 {DNNL_ARG_SCRATCHPAD, p->scratch}};
  DK_TRY(dnnl_primitive_execute(p->primitive, stream, 4, arguments));
  DK_TRY(dnnl_stream_wait(stream));
  return status;
}

static inline void dk_product_free(dk_product *p) {
  if (p->primitive) dnnl_primitive_destroy(p->primitive);
  dnnl_memory_t memories[] = {p->a, p->b, p->c, p->scratch};
  for (int i = 0; i < 4; i++)
    if (memories[i]) dnnl_memory_destroy(memories[i]);
}

// The shape's type is what is packed; its b strides are those of the source.
static inline dnnl_status_t dk_packing_make(dk_packing *p, dnnl_engine_t engine,
                                            dk_product_shape shape) {
  dnnl_primitive_desc_t desc = NULL, reorder = NULL;
  dk_desc from;
  dnnl_status_t status = dk_matmul(engine, shape, NULL, 1, &desc);
  if (status != dnnl_success) return status;
  dk_desc_pointer to = dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0);
  p->bytes = (int64_t)dnnl_memory_desc_get_size(to);
  DK_TRY(dk_desc_copy(&p->desc, to));
  DK_TRY(dk_desc_make(&from, shape.inner, shape.columns, dnnl_f32, shape.b_row, shape.b_column));
  DK_TRY(dnnl_memory_create(&p->from, DK_POINTER(from), engine, DNNL_MEMORY_NONE));
  DK_TRY(dnnl_memory_create(&p->to, to, engine, DNNL_MEMORY_NONE));
  DK_TRY(dnnl_reorder_primitive_desc_create(&reorder, DK_POINTER(from), engine, to, engine, NULL));
  DK_TRY(dnnl_primitive_create(&p->primitive, reorder));
  if (reorder) dnnl_primitive_desc_destroy(reorder);
  dnnl_primitive_desc_destroy(desc);
  if (status == dnnl_success) dk_desc_free(&from);
  return status;
}

static inline dnnl_status_t dk_packing_run(const dk_packing *p, dnnl_stream_t stream,
                                           const float *from, void *to) {
  dnnl_status_t status = dnnl_success;
  DK_TRY(dnnl_memory_set_data_handle(p->from, (void *)from));
  DK_TRY(dnnl_memory_set_data_handle(p->to, to));
  dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, p->from}, {DNNL_ARG_TO, p->to}};
  DK_TRY(dnnl_primitive_execute(p->primitive, stream, 2, arguments));
  DK_TRY(dnnl_stream_wait(stream));
  return status;
}

static inline void dk_packing_free(dk_packing *p) {
  if (p->primitive) {
    dnnl_primitive_destroy(p->primitive);
    dk_desc_free(&p->desc);
  }
  if (p->from) dnnl_memory_destroy(p->from);
  if (p->to) dnnl_memory_destroy(p->to);
}

#undef DK_TRY
#undef DK_MEMORY
#undef DK_POINTER
#endif
