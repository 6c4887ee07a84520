/** Tries the chat template of a file, which may want any time and any memory: source and tokens come in on stdin, why it can't be used goes out on fd 3. */
import { createWriteStream } from 'node:fs'
import { ChatTemplate } from './chat-template.ts'
import { readFrames, writeFrame } from './frames.ts'
import { beginLife } from './sign-of-life.ts'

beginLife()

const CONVERSATION = [
  { role: 'system', content: 's' },
  { role: 'user', content: 'a' },
  { role: 'assistant', content: 'b' },
  { role: 'user', content: 'c' },
] as const

const output = createWriteStream('', { fd: 3 })
for await (const { header } of readFrames(process.stdin)) {
  const { source, bos, eos } = header as unknown as { source: string; bos: string; eos: string }
  await writeFrame(output, { fault: faultOf(source, { bos, eos }) })
}
output.end(() => process.exit(0))

function faultOf(source: string, ends: { bos: string; eos: string }): string | null {
  try {
    new ChatTemplate(source, ends).layOut({ messages: CONVERSATION }, true)
    return null
  } catch (error) {
    return error instanceof Error ? error.message : 'unknown'
  }
}
