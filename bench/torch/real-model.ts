import { join } from 'node:path'
import { loadGgml } from '../../src/engines/ggml.ts'
import { openGguf } from '../../src/engines/gguf.ts'
import { entriesOf, writeModel, type SharedModel } from './f32-model.ts'

/** A model's file as F32 for both sides. @param keepsQuantised whether the product trains on the file as it is */
export async function realModel(
  path: string,
  folder: string,
  keepsQuantised: boolean,
): Promise<{ model: SharedModel; quantised?: string }> {
  const file = openGguf(path, loadGgml(1).dequantize)
  const entries = entriesOf(file.metadata).filter(({ key }) => key !== 'general.file_type')
  const tensors = file.names.map(name => file.tensor(name))
  file.close()
  const model = await writeModel(join(folder, 'model.gguf'), { entries, tensors })
  return keepsQuantised ? { model, quantised: path } : { model }
}
