import { userInfo } from 'node:os'

/** The home folder: HOME, else what the system says; undefined for a user whom it does not know, as containers start them. */
export function homeFolder(): string | undefined {
  const told = process.env['HOME']
  if (told !== undefined && told !== '') return told
  try {
    return userInfo().homedir
  } catch {
    return undefined
  }
}
