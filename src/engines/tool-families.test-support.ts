import type { Family } from './chat-families.test-support.ts'

/** A family whose template writes tools. `laidOut` is the conversation of `tool-layout.test.ts`, left open for the answer. */
export interface ToolFamily extends Family {
  /** What of it is learned, without the answer `A`. */
  readonly call: string
}

const DEFINITION =
  '{"type": "function", "function": {"name": "f", "description": "D", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}'

const QWEN_TOOLS =
  "{{ '# Tools\n\nYou may call one or more functions.\n<tools>' }}{% for t in tools %}{{ '\n' }}{{ t | tojson }}{% endfor %}{{ '\n</tools>' }}"
const QWEN_CALLS =
  '{% for call in m.tool_calls %}{% if call.function %}{% set call = call.function %}{% endif %}{{ \'\n<tool_call>\n{"name": "\' + call.name + \'", "arguments": \' }}{{ call.arguments | tojson }}{{ \'}\n</tool_call>\' }}{% endfor %}'

/** One that writes each argument by itself, as Qwen3-Coder does. */
const CODER_CALLS =
  "{% for call in m.tool_calls %}{{ '\n<tool_call>\n<function=' + call.function.name + '>\n' }}{% for key, value in call.function.arguments | items %}" +
  "{{ '<parameter=' + key + '>\n' }}{{ value | tojson if value is mapping else value }}{{ '\n</parameter>\n' }}{% endfor %}{{ '</function>\n</tool_call>' }}{% endfor %}"

const qwen = (calls: string): string =>
  `{% if tools %}{{ '<|im_start|>system\n' }}{% if messages[0].role == 'system' %}{{ messages[0].content + '\n\n' }}{% endif %}${QWEN_TOOLS}{{ '<|im_end|>\n' }}` +
  `{% elif messages[0].role == 'system' %}{{ '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}{% endif %}` +
  `{% for m in messages %}{% if m.role == 'user' or (m.role == 'system' and not loop.first) or (m.role == 'assistant' and not m.tool_calls) %}` +
  `{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}` +
  `{% elif m.role == 'assistant' %}{{ '<|im_start|>assistant' }}{% if m.content %}{{ '\n' + m.content }}{% endif %}${calls}{{ '<|im_end|>\n' }}` +
  `{% elif m.role == 'tool' %}{% if loop.first or messages[loop.index0 - 1].role != 'tool' %}{{ '<|im_start|>user' }}{% endif %}` +
  `{{ '\n<tool_response>\n' + m.content + '\n</tool_response>' }}{% if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{ '<|im_end|>\n' }}{% endif %}` +
  `{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`

const QWEN_CONTROLS = [
  '<|endoftext|>',
  '<|im_start|>',
  '<tool_call>',
  '</tool_call>',
  '<tool_response>',
  '</tool_response>',
  '<|im_end|>',
] as const

const qwenLaidOut = (call: string): string =>
  `<|im_start|>system\nS\n\n# Tools\n\nYou may call one or more functions.\n<tools>\n${DEFINITION}\n</tools><|im_end|>\n<|im_start|>user\nU<|im_end|>\n` +
  `<|im_start|>assistant\n${call}\n<|im_start|>user\n<tool_response>\nR\n</tool_response><|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n`

const QWEN_CALL =
  '<tool_call>\n{"name": "f", "arguments": {"city": "P", "days": 2, "exact": 1.0}}\n</tool_call><|im_end|>'
const CODER_CALL =
  '<tool_call>\n<function=f>\n<parameter=city>\nP\n</parameter>\n<parameter=days>\n2\n</parameter>\n<parameter=exact>\n1.0\n</parameter>\n</function>\n</tool_call><|im_end|>'
const LLAMA_CALL = '{"name": "f", "parameters": {"city": "P", "days": 2, "exact": 1.0}}<|eot_id|>'
const MISTRAL_CALL =
  '[TOOL_CALLS] [{"name": "f", "arguments": {"city": "P", "days": 2, "exact": 1.0}, "id": "000000001"}]</s>'
const R1_CALL = '<｜call｜>f\n```json\n{"city":"P","days":2,"exact":1.0}\n```<｜end｜>'

const HERMES =
  "{{ bos_token }}{% if tools %}{{ '<|im_start|>system\nYou are a function calling AI model. <tools>' }}{% for t in tools %}{{ ' ' + t | tojson }}{% endfor %}{{ ' </tools><|im_end|>\n' }}{% endif %}" +
  "{% for m in messages %}{% if m.role == 'user' or m.role == 'system' or (m.role == 'assistant' and m.tool_calls is not defined) %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}" +
  "{% elif m.role == 'assistant' %}{{ '<|im_start|>' + m.role }}{% for call in m.tool_calls %}{{ '\n<tool_call>\n' }}{% set call = call.function %}{{ '{\"arguments\": ' }}{{ call.arguments | tojson }}{{ ', \"name\": \"' + call.name + '\"}\n</tool_call>' }}{% endfor %}{{ '<|im_end|>\n' }}" +
  "{% elif m.role == 'tool' %}{{ '<|im_start|>tool\n<tool_response>\n' + m.content + '\n</tool_response><|im_end|>\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"

const LLAMA =
  "{{ bos_token }}{% if not tools is defined %}{% set tools = none %}{% endif %}{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] | trim %}{% set messages = messages[1:] %}{% else %}{% set system = '' %}{% endif %}" +
  "{{ '<|start_header_id|>system<|end_header_id|>\n\n' }}{% if tools is not none %}{{ 'Environment: ipython\n' }}{% endif %}{{ system + '<|eot_id|>' }}" +
  "{% if tools is not none %}{% set first = messages[0]['content'] | trim %}{% set messages = messages[1:] %}{{ '<|start_header_id|>user<|end_header_id|>\n\nGiven these functions:\n\n' }}" +
  "{% for t in tools %}{{ t | tojson(indent=4) }}{{ '\n\n' }}{% endfor %}{{ first + '<|eot_id|>' }}{% endif %}" +
  "{% for m in messages %}{% if not (m.role == 'ipython' or m.role == 'tool' or 'tool_calls' in m) %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' }}" +
  "{% elif 'tool_calls' in m %}{% if not m.tool_calls | length == 1 %}{{ raise_exception('This model only supports single tool-calls at once!') }}{% endif %}{% set call = m.tool_calls[0].function %}" +
  "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{{ '{\"name\": \"' + call.name + '\", \"parameters\": ' }}{{ call.arguments | tojson }}{{ '}' + '<|eot_id|>' }}" +
  "{% else %}{{ '<|start_header_id|>ipython<|end_header_id|>\n\n' }}{% if m.content is mapping or m.content is iterable %}{{ m.content | tojson }}{% else %}{{ m.content }}{% endif %}{{ '<|eot_id|>' }}{% endif %}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"

const MISTRAL =
  "{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] %}{% set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif %}{% if not tools is defined %}{% set tools = none %}{% endif %}" +
  "{% set asked = rest | selectattr('role', 'equalto', 'user') | list %}{{ bos_token }}{% for m in rest %}{% if m['role'] == 'user' %}{% if tools is not none and (m == asked[-1]) %}{{ '[AVAILABLE_TOOLS] [' }}" +
  "{% for t in tools %}{% set t = t.function %}{{ '{\"type\": \"function\", \"function\": {' }}{% for key, value in t.items() if key != 'return' %}{% if value is string %}{{ '\"' + key + '\": \"' + value + '\"' }}{% else %}{{ '\"' + key + '\": ' + value | tojson }}{% endif %}{% if not loop.last %}{{ ', ' }}{% endif %}{% endfor %}{{ '}}' }}{% if not loop.last %}{{ ', ' }}{% else %}{{ ']' }}{% endif %}{% endfor %}{{ '[/AVAILABLE_TOOLS]' }}{% endif %}" +
  "{% if loop.last and system is defined %}{{ '[INST] ' + system + '\n\n' + m['content'] + '[/INST]' }}{% else %}{{ '[INST] ' + m['content'] + '[/INST]' }}{% endif %}" +
  "{% elif m.tool_calls is defined and m.tool_calls is not none %}{{ '[TOOL_CALLS] [' }}{% for call in m.tool_calls %}{% set out = call.function | tojson %}{{ out[:-1] }}{% if not call.id is defined or call.id | length != 9 %}{{ raise_exception('Tool call IDs should be alphanumeric strings with length 9!') }}{% endif %}" +
  "{{ ', \"id\": \"' + call.id + '\"}' }}{% if not loop.last %}{{ ', ' }}{% else %}{{ ']' + eos_token }}{% endif %}{% endfor %}" +
  "{% elif m['role'] == 'assistant' %}{{ ' ' + m['content'] | trim + eos_token }}{% elif m['role'] == 'tool_results' or m['role'] == 'tool' %}{% if m.content is defined and m.content.content is defined %}{% set content = m.content.content %}{% else %}{% set content = m.content %}{% endif %}" +
  "{{ '[TOOL_RESULTS] {\"content\": ' + content | string + ', ' }}{% if not m.tool_call_id is defined or m.tool_call_id | length != 9 %}{{ raise_exception('Tool call IDs should be alphanumeric strings with length 9!') }}{% endif %}{{ '\"call_id\": \"' + m.tool_call_id + '\"}[/TOOL_RESULTS]' }}" +
  "{% else %}{{ raise_exception('Only user and assistant roles are supported') }}{% endif %}{% endfor %}"

/** One that joins arguments to text, so it wants them as text, and that ends an answer and a call in the same way. */
const R1 =
  "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}{% if tools %}{{ '\n' + tools | tojson }}{% endif %}{% elif m.role == 'user' %}{{ '<｜User｜>' + m.content }}{% if tools and loop.first %}{{ '\n' + tools | tojson }}{% endif %}" +
  "{% elif m.tool_calls %}{{ '<｜Assistant｜>' }}{% for call in m.tool_calls %}{{ '<｜call｜>' + call.function.name + '\n```json\n' + call.function.arguments + '\n```' }}{% endfor %}{{ eos_token }}" +
  "{% elif m.role == 'assistant' %}{{ '<｜Assistant｜>' + m.content + eos_token }}{% else %}{{ '<｜output｜>' + m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<｜Assistant｜>' }}{% endif %}"

const INDENTED =
  '{\n    "type": "function",\n    "function": {\n        "name": "f",\n        "description": "D",\n        "parameters": {\n            "type": "object",\n            "properties": {\n' +
  '                "city": {\n                    "type": "string"\n                }\n            }\n        }\n    }\n}'

/** Short equivalents of the templates that models of these families carry, written for these tests. */
export const TOOL_FAMILIES: readonly ToolFamily[] = [
  {
    name: 'Qwen',
    template: qwen(QWEN_CALLS),
    controls: QWEN_CONTROLS,
    laidOut: qwenLaidOut(QWEN_CALL),
    call: QWEN_CALL,
  },
  {
    name: 'Qwen Coder',
    template: qwen(CODER_CALLS),
    controls: QWEN_CONTROLS,
    laidOut: qwenLaidOut(CODER_CALL),
    call: CODER_CALL,
  },
  {
    // Its prompt begins a thought, which earlier answers do not show.
    name: 'Qwen that thinks',
    template: qwen(QWEN_CALLS).replace(/assistant\n' }}(?={% endif %}$)/, "assistant\n<think>\n' }}"),
    controls: ['<|endoftext|>', '<think>', ...QWEN_CONTROLS.slice(1)],
    laidOut: `${qwenLaidOut(QWEN_CALL)}<think>\n`,
    call: QWEN_CALL,
  },
  {
    name: 'Hermes',
    template: HERMES,
    controls: ['<s>', '<|im_start|>', '<tool_call>', '</tool_call>', '<|im_end|>'],
    laidOut:
      `<s><|im_start|>system\nYou are a function calling AI model. <tools> ${DEFINITION} </tools><|im_end|>\n<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n` +
      '<|im_start|>assistant\n<tool_call>\n{"arguments": {"city": "P", "days": 2, "exact": 1.0}, "name": "f"}\n</tool_call><|im_end|>\n<|im_start|>tool\n<tool_response>\nR\n</tool_response><|im_end|>\n' +
      '<|im_start|>assistant\nA<|im_end|>\n<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n',
    call: '<tool_call>\n{"arguments": {"city": "P", "days": 2, "exact": 1.0}, "name": "f"}\n</tool_call><|im_end|>',
  },
  {
    name: 'Llama 3.1',
    template: LLAMA,
    controls: ['<|begin_of_text|>', '<|start_header_id|>', '<|end_header_id|>', '<|eot_id|>'],
    laidOut:
      `<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nEnvironment: ipython\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nGiven these functions:\n\n${INDENTED}\n\nU<|eot_id|>` +
      `<|start_header_id|>assistant<|end_header_id|>\n\n${LLAMA_CALL}<|start_header_id|>ipython<|end_header_id|>\n\n"R"<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nA<|eot_id|>` +
      '<|start_header_id|>user<|end_header_id|>\n\nV<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n',
    call: LLAMA_CALL,
  },
  {
    name: 'Mistral',
    template: MISTRAL,
    controls: [
      '<s>',
      '[INST]',
      '[/INST]',
      '[AVAILABLE_TOOLS]',
      '[/AVAILABLE_TOOLS]',
      '[TOOL_CALLS]',
      '[TOOL_RESULTS]',
      '[/TOOL_RESULTS]',
      '</s>',
    ],
    laidOut: `<s>[INST] U[/INST]${MISTRAL_CALL}[TOOL_RESULTS] {"content": R, "call_id": "000000001"}[/TOOL_RESULTS] A</s>[AVAILABLE_TOOLS] [${DEFINITION}][/AVAILABLE_TOOLS][INST] S\n\nV[/INST]`,
    call: MISTRAL_CALL,
  },
  {
    name: 'R1',
    template: R1,
    controls: ['<s>', '<｜User｜>', '<｜Assistant｜>', '<｜call｜>', '<｜output｜>', '<｜end｜>'],
    laidOut: `<s>S\n[${DEFINITION}]<｜User｜>U<｜Assistant｜>${R1_CALL}<｜output｜>R<｜Assistant｜>A<｜end｜><｜User｜>V<｜Assistant｜>`,
    call: R1_CALL,
  },
]
