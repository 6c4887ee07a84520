import { UsageError } from '../../base/usage-error.ts'
import type { Option } from '../option.ts'

/** See store/known-head.ts, which reads it. */
const HEAD = /^\d{1,15}:[0-9a-f]{32}:\d{1,15}:[0-9a-f]{32}$/

/** A line of `audit head`. It is checked before anything is opened. */
export const knownHead: Option<string | undefined> = {
  placeholder: 'HEAD',
  about: 'from audit head: an older folder is refused',
  read(text) {
    if (text === undefined || HEAD.test(text.trim())) return text
    throw new UsageError('--known-head must be one line as `ownkey audit head` prints it: N:HASH:N:HASH.')
  },
}
