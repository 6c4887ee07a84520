import { open } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Answers of file systems that can't sync folders (some in user space or over a network). Names can't be made safer there. */
const NO_FOLDER_SYNC = ['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']

/** Makes the names in a folder durable. @param failed what to throw where that fails; the error itself unless said otherwise */
export async function syncNames(path: string, failed = (error: unknown): unknown => error): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync().catch((error: unknown) => {
      const { code = '' } = error as NodeJS.ErrnoException
      if (!NO_FOLDER_SYNC.includes(code)) throw failed(error)
    })
  } finally {
    await folder.close()
  }
}

/** Makes a new folder durable, with those above it up to one that was there before. The process goes on where that fails. */
export async function syncFolders(from: string, to: string): Promise<void> {
  for (let folder = from; ; folder = dirname(folder)) {
    await syncNames(folder)
    if (folder === to || folder === dirname(folder)) return
  }
}
