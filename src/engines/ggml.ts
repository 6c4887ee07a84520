import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { KoffiFunc } from 'koffi'
import koffi from 'koffi'
import { EngineFailure } from './failures.ts'
import type { Dequantize } from './gguf.ts'

/** Ends the search where a list of features had no end. */
const MOST_FEATURES = 256

/** A pointer from koffi, opaque to us. */
export type Pointer = unknown
type Native = (...args: unknown[]) => unknown

/** ggml's type numbers (ggml.h, `enum ggml_type`). */
export const F32 = 0
export const I32 = 26
export const BF16 = 30

const PROTOTYPES = {
  ggml_log_set: 'void ggml_log_set(OwnKeyGgmlLog *callback, void *data)',
  ggml_init: 'void *ggml_init(OwnKeyGgmlInit params)',
  ggml_free: 'void ggml_free(void *ctx)',
  ggml_tensor_overhead: 'size_t ggml_tensor_overhead(void)',
  ggml_graph_overhead_custom: 'size_t ggml_graph_overhead_custom(size_t size, bool grads)',
  ggml_quantize_chunk:
    'size_t ggml_quantize_chunk(int type, const void *src, void *dst, int64_t start, int64_t rows, int64_t perRow, const void *importance)',
  ggml_nbytes: 'size_t ggml_nbytes(void *tensor)',
  ggml_new_tensor_4d: 'void *ggml_new_tensor_4d(void *ctx, int type, int64_t a, int64_t b, int64_t c, int64_t d)',
  ggml_set_param: 'void ggml_set_param(void *tensor)',
  ggml_set_input: 'void ggml_set_input(void *tensor)',
  ggml_set_output: 'void ggml_set_output(void *tensor)',
  ggml_get_rows: 'void *ggml_get_rows(void *ctx, void *a, void *b)',
  ggml_get_rows_back: 'void *ggml_get_rows_back(void *ctx, void *a, void *b, void *c)',
  ggml_set_rows: 'void *ggml_set_rows(void *ctx, void *a, void *b, void *c)',
  ggml_rms_norm: 'void *ggml_rms_norm(void *ctx, void *a, float eps)',
  ggml_rms_norm_back: 'void *ggml_rms_norm_back(void *ctx, void *dy, void *x, float eps)',
  ggml_add: 'void *ggml_add(void *ctx, void *a, void *b)',
  ggml_sub: 'void *ggml_sub(void *ctx, void *a, void *b)',
  ggml_mul: 'void *ggml_mul(void *ctx, void *a, void *b)',
  ggml_scale: 'void *ggml_scale(void *ctx, void *a, float s)',
  ggml_scale_bias: 'void *ggml_scale_bias(void *ctx, void *a, float s, float b)',
  ggml_tanh: 'void *ggml_tanh(void *ctx, void *a)',
  ggml_concat: 'void *ggml_concat(void *ctx, void *a, void *b, int dim)',
  ggml_view_2d: 'void *ggml_view_2d(void *ctx, void *a, int64_t n0, int64_t n1, size_t stride, size_t offset)',
  ggml_mul_mat: 'void *ggml_mul_mat(void *ctx, void *a, void *b)',
  ggml_transpose: 'void *ggml_transpose(void *ctx, void *a)',
  ggml_permute: 'void *ggml_permute(void *ctx, void *a, int a0, int a1, int a2, int a3)',
  ggml_cont: 'void *ggml_cont(void *ctx, void *a)',
  ggml_cast: 'void *ggml_cast(void *ctx, void *a, int type)',
  ggml_out_prod: 'void *ggml_out_prod(void *ctx, void *a, void *b)',
  ggml_cpy: 'void *ggml_cpy(void *ctx, void *a, void *b)',
  ggml_reshape_4d: 'void *ggml_reshape_4d(void *ctx, void *a, int64_t n0, int64_t n1, int64_t n2, int64_t n3)',
  ggml_repeat: 'void *ggml_repeat(void *ctx, void *a, void *like)',
  ggml_repeat_back: 'void *ggml_repeat_back(void *ctx, void *a, void *like)',
  ggml_sum_rows: 'void *ggml_sum_rows(void *ctx, void *a)',
  ggml_silu: 'void *ggml_silu(void *ctx, void *a)',
  ggml_silu_back: 'void *ggml_silu_back(void *ctx, void *dy, void *x)',
  ggml_soft_max: 'void *ggml_soft_max(void *ctx, void *a)',
  ggml_soft_max_ext: 'void *ggml_soft_max_ext(void *ctx, void *a, void *mask, float scale, float bias)',
  ggml_soft_max_ext_back: 'void *ggml_soft_max_ext_back(void *ctx, void *dy, void *y, float scale, float bias)',
  ggml_rope_ext:
    'void *ggml_rope_ext(void *ctx, void *a, void *pos, void *factors, int dims, int mode, int origCtx, float base, float scale, float ext, float attn, float fast, float slow)',
  ggml_rope_ext_back:
    'void *ggml_rope_ext_back(void *ctx, void *a, void *pos, void *factors, int dims, int mode, int origCtx, float base, float scale, float ext, float attn, float fast, float slow)',
  ggml_argmax: 'void *ggml_argmax(void *ctx, void *a)',
  ggml_opt_step_adamw: 'void *ggml_opt_step_adamw(void *ctx, void *a, void *grad, void *m, void *v, void *params)',
  ggml_new_graph_custom: 'void *ggml_new_graph_custom(void *ctx, size_t size, bool grads)',
  ggml_build_forward_expand: 'void ggml_build_forward_expand(void *graph, void *tensor)',
  ggml_gallocr_new: 'void *ggml_gallocr_new(void *bufferType)',
  ggml_gallocr_free: 'void ggml_gallocr_free(void *gallocr)',
  ggml_gallocr_reserve_n_size:
    'void ggml_gallocr_reserve_n_size(void *gallocr, void *graph, void *nodeBuffers, void *leafBuffers, void *sizes)',
  ggml_gallocr_get_buffer_size: 'size_t ggml_gallocr_get_buffer_size(void *gallocr, int buffer)',
  ggml_gallocr_alloc_graph: 'bool ggml_gallocr_alloc_graph(void *gallocr, void *graph)',
  ggml_backend_get_default_buffer_type: 'void *ggml_backend_get_default_buffer_type(void *backend)',
  ggml_backend_alloc_ctx_tensors: 'void *ggml_backend_alloc_ctx_tensors(void *ctx, void *backend)',
  ggml_backend_buffer_free: 'void ggml_backend_buffer_free(void *buffer)',
  ggml_backend_tensor_set: 'void ggml_backend_tensor_set(void *tensor, void *data, size_t offset, size_t size)',
  ggml_backend_tensor_get: 'void ggml_backend_tensor_get(void *tensor, void *data, size_t offset, size_t size)',
  ggml_backend_graph_compute: 'int ggml_backend_graph_compute(void *backend, void *graph)',
  ggml_backend_reg_get_proc_address: 'void *ggml_backend_reg_get_proc_address(void *reg, const char *name)',
  ggml_backend_get_device: 'void *ggml_backend_get_device(void *backend)',
  ggml_backend_dev_backend_reg: 'void *ggml_backend_dev_backend_reg(void *device)',
} as const

const LOADER_PROTOTYPES = {
  ggml_backend_load_all_from_path: 'void ggml_backend_load_all_from_path(const char *dir)',
  ggml_backend_init_by_type: 'void *ggml_backend_init_by_type(int type, const char *params)',
} as const

/** Calls into ggml by name, as declared above. `compute` leaves the event loop free. */
export interface Ggml {
  readonly call: Readonly<Record<keyof typeof PROTOTYPES, Native>>
  readonly backend: Pointer
  compute(graph: Pointer): Promise<void>
  readonly dequantize: Dequantize
  /** Whether products with BF16 are at least as fast as those with F32. */
  readonly multipliesBf16: boolean
  /** A context for tensor records (no data): `tensors` of them and a graph of `nodes`. */
  context(tensors: number, nodes?: number): Pointer
}

/** The folder of llama.cpp's libraries inside node-llama-cpp's package for this machine. */
function nativeLibraryFolder(): string {
  const platform = process.platform === 'darwin' ? 'mac' : process.platform === 'win32' ? 'win' : process.platform
  const variants = [`${platform}-${process.arch}`, `${platform}-${process.arch}-metal`]
  const home = join(dirname(fileURLToPath(import.meta.resolve('node-llama-cpp'))), '..', '..', '@node-llama-cpp')
  for (const variant of variants) {
    const folder = join(home, variant, 'bins', variant)
    if (existsSync(folder)) return folder
  }
  throw new EngineFailure(
    `node-llama-cpp has no prebuilt libraries for ${process.platform}-${process.arch}; install them with npm ci`,
  )
}

function library(folder: string, pattern: RegExp): string {
  const name = readdirSync(folder).find(file => pattern.test(file))
  if (name === undefined) throw new EngineFailure(`no library ${pattern.source} in node-llama-cpp's package`)
  return join(folder, name)
}

/**
 * Loads ggml with its CPU backend. Call it in a child process only: a failed GGML_ASSERT aborts the process.
 * The ABI belongs to the exactly pinned node-llama-cpp (docs/adr).
 */
export function loadGgml(threads: number): Ggml {
  const folder = nativeLibraryFolder()
  koffi.struct('OwnKeyGgmlInit', { size: 'size_t', buffer: 'void *', noAlloc: 'bool' })
  koffi.proto('void OwnKeyGgmlLog(int level, const char *text, void *data)')
  const base = koffi.load(library(folder, /^libggml-base\.(so|dylib)$/))
  const loader = koffi.load(library(folder, /^libggml(\.v[\d.]+)?\.(so|dylib)$/))
  const call = Object.fromEntries(
    Object.entries(PROTOTYPES).map(([name, prototype]) => [name, base.func(prototype)]),
  ) as Record<keyof typeof PROTOTYPES, KoffiFunc<Native>>
  call.ggml_log_set(
    koffi.register(() => undefined, koffi.pointer('OwnKeyGgmlLog')),
    null,
  )
  loader.func(LOADER_PROTOTYPES.ggml_backend_load_all_from_path)(folder)
  const backend: Pointer = loader.func(LOADER_PROTOTYPES.ggml_backend_init_by_type)(0, null)
  if (backend === null) throw new EngineFailure('ggml has no CPU backend that runs on this processor')
  setThreads(call, backend, threads)
  const compute = (graph: Pointer): Promise<void> =>
    new Promise((resolve, reject) => {
      call.ggml_backend_graph_compute.async(backend as object, graph, (error: unknown, status: unknown) => {
        if (error === null && status === 0) resolve()
        else reject(new EngineFailure(`ggml stopped a computation with status ${String(status)}`))
      })
    })
  const context = (tensors: number, nodes = 0): Pointer => {
    const graph = nodes === 0 ? 0 : Number(call.ggml_graph_overhead_custom(nodes, false))
    const size = Number(call.ggml_tensor_overhead()) * tensors + graph + 4096
    return call.ggml_init({ size, buffer: null, noAlloc: true })
  }
  const dequantize: Dequantize = (name, blocks, into) => {
    base.func(`void ${name}(const void *x, void *y, int64_t k)`)(blocks, into, into.length)
  }
  const multipliesBf16 = featuresOf(call, backend).has('AVX2')
  return { call, backend, compute, dequantize, multipliesBf16, context }
}

type Calls = Record<keyof typeof PROTOTYPES, Native>

function procedure(call: Calls, backend: Pointer, name: string): Pointer {
  const registry = call.ggml_backend_dev_backend_reg(call.ggml_backend_get_device(backend))
  return call.ggml_backend_reg_get_proc_address(registry, name)
}

/** What of the processor's extensions the backend uses (ggml-backend.h, ggml_backend_get_features). */
function featuresOf(call: Calls, backend: Pointer): Set<string> {
  const registry = call.ggml_backend_dev_backend_reg(call.ggml_backend_get_device(backend))
  const getter = koffi.proto('void *OwnKeyGgmlFeatures(void *registry)')
  const feature = koffi.struct('OwnKeyGgmlFeature', { name: 'const char *', value: 'const char *' })
  const list = (koffi.decode(procedure(call, backend, 'ggml_backend_get_features'), getter) as Native)(registry)
  const found = new Set<string>()
  for (let at = 0; at < MOST_FEATURES; at += 1) {
    const { name, value } = koffi.decode(list, at * koffi.sizeof(feature), feature) as {
      name: string | null
      value: string
    }
    if (name === null) break
    if (value !== '0') found.add(name)
  }
  return found
}

function setThreads(call: Calls, backend: Pointer, threads: number): void {
  const address = procedure(call, backend, 'ggml_backend_set_n_threads')
  const setter = koffi.proto('void OwnKeyGgmlThreads(void *backend, int threads)')
  ;(koffi.decode(address, setter) as Native)(backend, threads)
}
