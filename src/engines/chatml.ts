/** The control tokens of ChatML, which the embedded model has. */
export const CHAT_START = '<|im_start|>'
export const CHAT_END = '<|im_end|>'

/** ChatML as a Jinja template: of the embedded model's file. */
export const CHAT_TEMPLATE =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
