import { Conflict } from '../http/errors.ts'

/**
 * Keeps the creation of jobs and the deletion of their files apart, so that each sees what the other wrote. It covers this process only.
 * Many jobs may be created with a file at a time.
 */
export class FileUse {
  readonly #read = new Map<string, number>()
  readonly #deleted = new Set<string>()

  /** @throws 409 conflict while the file is being deleted */
  async reading<T>(fileIds: readonly string[], work: () => Promise<T>): Promise<T> {
    for (const id of fileIds) if (this.#deleted.has(id)) throw beingUsed(id, 'deleted')
    for (const id of fileIds) this.#read.set(id, (this.#read.get(id) ?? 0) + 1)
    try {
      return await work()
    } finally {
      for (const id of fileIds) {
        const left = (this.#read.get(id) ?? 0) - 1
        if (left > 0) this.#read.set(id, left)
        else this.#read.delete(id)
      }
    }
  }

  /** @throws 409 conflict while a job that reads it is being created, or the file is being deleted already */
  async deleting<T>(fileId: string, work: () => Promise<T>): Promise<T> {
    if (this.#read.has(fileId)) throw beingUsed(fileId, 'used by a job that is being created')
    if (this.#deleted.has(fileId)) throw beingUsed(fileId, 'deleted')
    this.#deleted.add(fileId)
    try {
      return await work()
    } finally {
      this.#deleted.delete(fileId)
    }
  }
}

function beingUsed(fileId: string, how: string): Conflict {
  return new Conflict(
    'conflict',
    `The file '${fileId.slice(0, 64)}' is being ${how} at this moment. Repeat the request.`,
  )
}
