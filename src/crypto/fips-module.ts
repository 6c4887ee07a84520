import { createHash } from 'node:crypto'
import { readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { fipsStatus } from './fips.ts'

/** The provider on which the service's cryptography runs, as `/health`, `doctor` and the audit log show it. */
export interface FipsState {
  readonly status: ReturnType<typeof fipsStatus>
  /** Absent where none is active. */
  readonly module?: {
    readonly name: string
    /** As the module names itself, for example 3.0.20. */
    readonly version: string
    readonly file: string
    readonly sha256: string
  }
}

/** The provider that is on and the file it was loaded from, read once at start. */
export function readFipsState(environment: NodeJS.ProcessEnv = process.env): FipsState {
  const status = fipsStatus()
  const folder = environment['OPENSSL_MODULES']
  if (status !== 'active' || folder === undefined) return { status }
  try {
    const file = realpathSync(join(folder, 'fips.so'))
    const bytes = readFileSync(file)
    return {
      status,
      module: { ...nameOf(bytes), file, sha256: createHash('sha256').update(bytes).digest('hex') },
    }
  } catch {
    return { status }
  }
}

/** Name and version are C strings in the module, the version soon after the name. */
function nameOf(bytes: Buffer): { name: string; version: string } {
  const at = bytes.indexOf('OpenSSL FIPS Provider\0')
  const near = at < 0 ? '' : bytes.subarray(at, at + 200).toString('latin1')
  const version = near.split('\0').find(text => /^\d+\.\d+\.\d+/.test(text)) ?? 'unknown'
  return { name: at < 0 ? 'unknown' : 'OpenSSL FIPS Provider', version }
}

/** `OpenSSL FIPS Provider 3.0.20 (/path/fips.so, SHA-256 …)`. */
export function describeFips({ module }: FipsState): string {
  if (module === undefined) return 'a FIPS provider of which the file is not known'
  return `${module.name} ${module.version} (${module.file}, SHA-256 ${module.sha256})`
}
