import { z } from 'zod'
import type { Tags } from './resource-manager.ts'

const MAX_TAGS = 50

/** As Azure: at most 50 tags, names to 512 characters without `<>%&\?/`, values to 256. */
export const tagsBody = z
  .record(
    z
      .string()
      .min(1)
      .max(512)
      .regex(/^[^<>%&\\?/]+$/, 'must not contain < > % & \\ ? /'),
    z.string().max(256),
  )
  .refine(tags => Object.keys(tags).length <= MAX_TAGS, `at most ${MAX_TAGS} tags`)

export const tagsPatchBody = z.object({
  operation: z.enum(['Replace', 'Merge', 'Delete']),
  properties: z.object({ tags: tagsBody.nullish() }).nullish(),
})

/** Names compare without letter case; the first spelling stays. */
export function patchedTags(before: Tags, { operation, properties }: z.infer<typeof tagsPatchBody>): Tags {
  const given = properties?.tags ?? {}
  if (operation === 'Replace') return given
  const after = new Map(Object.entries(before))
  for (const [name, value] of Object.entries(given)) {
    const known = [...after.keys()].find(key => key.toLowerCase() === name.toLowerCase())
    if (operation === 'Merge') after.set(known ?? name, value)
    else if (known !== undefined && after.get(known) === value) after.delete(known)
  }
  return Object.fromEntries(after)
}
