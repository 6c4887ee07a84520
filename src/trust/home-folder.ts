import { userInfo } from 'node:os'

/** The home folder: HOME, else what the system says; undefined for a user that the system does not know, as in some containers. */
export function homeFolder(): string | undefined {
  const told = process.env['HOME']
  if (told !== undefined && told !== '') return told
  try {
    return userInfo().homedir
  } catch {
    return undefined
  }
}
