import type { InnerCode } from '../http/error-codes.ts'
import { AzureError, Conflict, Forbidden, NotFound } from '../http/errors.ts'
import type { Vault } from './vault-record.ts'

/** 400: a field or query parameter of a data-plane call does not fit. */
export function badParameter(message: string, target?: string): AzureError {
  return new AzureError('BadParameter', 400, message, target === undefined ? {} : { target })
}

/** `kv;location=eastus`, as Key Vault names a vault in its messages. */
export function vaultLabel(vault: Vault): string {
  return `${vault.name};location=${vault.location}`
}

export function vaultNotFound(name: string): NotFound {
  return new NotFound(
    'VaultNotFound',
    `There is no key vault '${name.slice(0, 64)}' here: it was never created, or it is deleted (recover it with createMode 'recover').`,
  )
}

export function keyNotFound(id: string): NotFound {
  return new NotFound(
    'KeyNotFound',
    `A key with (name/id) ${id} was not found in this key vault. If you recently deleted this key you may be able to recover it ` +
      'using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182',
  )
}

export function deletedKeyNotFound(name: string): NotFound {
  return new NotFound('KeyNotFound', `Deleted Key not found: ${name}`)
}

export function keyIsDeleted(name: string): Conflict {
  return new Conflict(
    'Conflict',
    `Key ${name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the key can only be recovered or purged.`,
    { innererror: { code: 'ObjectIsDeletedButRecoverable' } },
  )
}

/** R21: a disabled key or version refuses everything but updates, lists and deletion. */
export function keyDisabled(operation: string): Forbidden {
  return forbidden('KeyDisabled', `Operation ${operation} is not allowed on a disabled key.`)
}

export function keyExpired(operation: string): Forbidden {
  return forbidden('KeyExpired', `Operation ${operation} is not allowed on an expired key.`)
}

export function keyNotYetValid(operation: string): Forbidden {
  return forbidden('KeyNotYetValid', `Operation ${operation} is not allowed on a key that is not yet valid.`)
}

export function keyOperationForbidden(operation: string): Forbidden {
  return forbidden('KeyOperationForbidden', `Operation ${operation} is not permitted on this key.`)
}

/** R08: purge protection holds for everybody. */
export function purgeProtected(vault: Vault): Forbidden {
  return new Forbidden(
    'Forbidden',
    'Operation "purge" is not allowed because purge protection is enabled for this vault. Key Vault service will automatically ' +
      `purge it after the retention period has passed.\r\nVault: ${vaultLabel(vault)}`,
  )
}

export function forbidden(inner: InnerCode, message: string): Forbidden {
  return new Forbidden('Forbidden', message, { innererror: { code: inner } })
}
