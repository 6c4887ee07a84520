import type { RequirementName } from '../http/error-codes.ts'
import { AzureError, type ErrorDetail } from '../http/errors.ts'

/** One requirement of the article that is not met: which, what was found instead, and what fixes it. */
export interface UnmetRequirement {
  /** Id in the table of requirements, for example `R08`. */
  readonly requirement: `R${number}`
  /** For programs: `PurgeProtectionOff`. */
  readonly name: RequirementName
  /** A sentence or more, for people. */
  readonly found: string
  /** An az command to copy. */
  readonly command: string
  /** Resource id or key URI of what was looked at. */
  readonly target: string
}

/** One error that names every unmet requirement. Each is a detail, whose parts are in `additionalInfo` too. */
export function requirementsNotMet(unmet: readonly UnmetRequirement[]): AzureError {
  const details = unmet.map(detail)
  const list = details.map(({ code, message }) => `${code}: ${message}`).join(' ')
  return new AzureError(
    'CustomerManagedKeyRequirementsNotMet',
    400,
    `The customer-managed key can't be used; ${unmet.length} requirement(s) not met. ${list}`,
    { details, target: 'properties.encryption' },
  )
}

function detail({ requirement, name, found, command, target }: UnmetRequirement): ErrorDetail {
  return {
    code: `${requirement}.${name}`,
    target,
    message: `${found} Run: ${command}`,
    additionalInfo: [{ type: 'UnmetRequirement', info: { requirement, found, command } }],
  }
}
