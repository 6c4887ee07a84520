import type { LlamaModel, Token } from 'node-llama-cpp'
import { getLlama, LlamaLogLevel } from 'node-llama-cpp'
import type { Tokenizer } from './chatml.ts'
import { CHAT_END, CHAT_START } from './chatml.ts'
import { EngineFailure } from './failures.ts'

/** The prebuilt llama.cpp of node-llama-cpp's package: not compiled here, not on a GPU, without logs. */
export const openLlama = (threads: number) =>
  getLlama({
    gpu: false,
    build: 'never',
    maxThreads: threads,
    logLevel: LlamaLogLevel.disabled,
    usePrebuiltBinaries: true,
  })

/** The tokenizer of a loaded model. @throws EngineFailure when the model does not know ChatML's control tokens */
export function chatTokenizer(model: LlamaModel): Tokenizer {
  const control = (name: string): number => {
    const [token, ...more] = model.tokenize(name, true)
    if (token === undefined || more.length > 0) {
      throw new EngineFailure(`the base model has no token ${name}; only models that speak ChatML can be used`)
    }
    return token
  }
  return {
    text: (text: string): readonly Token[] => model.tokenize(text, false),
    start: control(CHAT_START),
    end: control(CHAT_END),
  }
}

/** Reads only the vocabulary of a GGUF with llama.cpp, so that training tokenizes text exactly as serving does. */
export async function loadVocabulary(path: string): Promise<{ tokenizer: Tokenizer; dispose: () => Promise<void> }> {
  const llama = await openLlama(1)
  const model = await llama.loadModel({ modelPath: path, vocabOnly: true })
  return { tokenizer: chatTokenizer(model), dispose: () => llama.dispose() }
}
