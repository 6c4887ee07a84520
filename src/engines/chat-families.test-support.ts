import type { Tokenizer } from './chat-layout.ts'
import { ChatTemplate } from './chat-template.ts'

/** A kind of models whose files have templates of the same form. */
export interface Family {
  readonly name: string
  readonly template: string
  /** Its control tokens. The first begins a text, the last ends an answer. */
  readonly controls: readonly [string, ...string[]]
  /** How it lays out: system `S`, user `U`, assistant `A`, user `V`, left open for the answer. */
  readonly laidOut: string
}

const chatml = (loop: string): string =>
  `${loop}{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}` +
  `{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`

/** Forms of the templates that models of these families carry, written for these tests. */
export const FAMILIES: readonly Family[] = [
  {
    name: 'ChatML',
    template: chatml(''),
    controls: ['<|endoftext|>', '<|im_start|>', '<|im_end|>'],
    laidOut:
      '<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n',
  },
  {
    name: 'Qwen',
    template: chatml(
      "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\nYou are Qwen.<|im_end|>\n' }}{% endif %}",
    ),
    controls: ['<|endoftext|>', '<|im_start|>', '<|im_end|>'],
    laidOut:
      '<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n',
  },
  {
    name: 'Llama 3',
    template:
      "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' }}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
    controls: ['<|begin_of_text|>', '<|start_header_id|>', '<|end_header_id|>', '<|eot_id|>'],
    laidOut:
      '<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nU<|eot_id|>' +
      '<|start_header_id|>assistant<|end_header_id|>\n\nA<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nV<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n',
  },
  {
    name: 'Mistral',
    template:
      "{{ bos_token }}{% if messages[0].role == 'system' %}{% set first = messages[0].content + '\n\n' %}{% set rest = messages[1:] %}{% else %}{% set first = '' %}{% set rest = messages %}{% endif %}" +
      "{% for m in rest %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate user/assistant') }}{% endif %}" +
      "{% if m.role == 'user' %}{{ '[INST] ' + (first if loop.first else '') + m.content + ' [/INST]' }}{% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}",
    controls: ['<s>', '[INST]', '[/INST]', '</s>'],
    laidOut: '<s>[INST] S\n\nU [/INST] A</s>[INST] V [/INST]',
  },
  {
    name: 'Gemma',
    template:
      "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" +
      "{% for m in messages %}{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' + m.content | trim + '<end_of_turn>\n' }}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
    controls: ['<bos>', '<start_of_turn>', '<end_of_turn>'],
    laidOut:
      '<bos><start_of_turn>user\nS\n\nU<end_of_turn>\n<start_of_turn>model\nA<end_of_turn>\n<start_of_turn>user\nV<end_of_turn>\n<start_of_turn>model\n',
  },
  {
    name: 'Phi',
    template:
      "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
    controls: ['<|endoftext|>', '<|system|>', '<|user|>', '<|assistant|>', '<|end|>'],
    laidOut: '<|system|>\nS<|end|>\n<|user|>\nU<|end|>\n<|assistant|>\nA<|end|>\n<|user|>\nV<|end|>\n<|assistant|>\n',
  },
]

export function templateOf({ template, controls }: Family): ChatTemplate {
  return new ChatTemplate(template, { bos: controls[0], eos: controls.at(-1) ?? '' })
}

/**
 * One token for each character, so that layouts can be read back, and one for each control token.
 * @param finds whether ordinary text gives control tokens too, as llama.cpp does it with user-defined ones
 */
export function characterTokenizer(
  { controls }: Family,
  finds = false,
): Tokenizer & { readonly show: (ids: readonly number[]) => string } {
  const pattern = new RegExp(`(${controls.map(text => RegExp.escape(text)).join('|')})`)
  const idOf = (text: string): number => controls.indexOf(text) + 1
  const letters = (text: string): number[] => Array.from(text, letter => 1000 + (letter.codePointAt(0) as number))
  const parts = (text: string) => text.split(pattern).filter(part => part !== '')
  return {
    text: text =>
      finds ? parts(text).flatMap(part => (idOf(part) > 0 ? [idOf(part)] : letters(part))) : letters(text),
    split: text => parts(text).map(part => ({ text: part, ...(idOf(part) > 0 ? { id: idOf(part) } : {}) })),
    show: ids => ids.map(id => (id >= 1000 ? String.fromCodePoint(id - 1000) : controls[id - 1])).join(''),
  }
}
