/**
 * Every error code of this service by plane, with the case in which it is returned. A code that is not here does not compile.
 * `./ownkey run scripts/error-codes.ts` writes `docs/errors.md` from it.
 */

/** Of the listener and the disk: every host may return these for any request. */
export const EVERY_HOST = {
  ErasureIncomplete: 'it was done, but the disk did not let the service erase the old bytes of its keys yet',
  InsufficientStorage: 'the disk is full: nothing was stored or changed',
  InternalServerError: 'a fault of the service; its log has the request id that the message names',
  InvalidRequestContent: 'a field of the request body does not fit (Resource Manager and the own routes)',
  InvalidRequestUri: 'the request target is not a valid path',
  MethodNotAllowed: 'the path exists, but not with this method',
  NotFound: 'there is nothing at this path',
  OutcomeUnknown: 'the disk failed while a change was written: the next start finds it whole or not at all',
  RecordTampered: 'a record that the request needs was changed outside the service',
  RequestAborted: 'the client went away before it had sent the whole body',
  RequestEntityTooLarge: 'the request body is longer than this route takes',
  RequestTimeout: 'the request body came too slowly',
  StorageUnavailable: 'the disk takes no writes, or the service ends because its disk failed',
  UnsupportedMediaType: 'the body has a content type or a Content-Encoding that this route does not take',
} as const

/** Of the login host and of instance metadata: `error` of RFC 6749 5.2. What the listener refuses is `invalid_request` there. */
export const SIGN_IN = {
  access_denied: 'the person declined on the page of the sign-in',
  authorization_declined: 'the person declined to sign the device in',
  authorization_pending: 'nobody has answered for the device code yet: ask again',
  bad_verification_code: 'the device code is not known, or was used before',
  expired_token: 'the device code has expired',
  interaction_required: 'a page has to be shown, and prompt=none forbids it',
  invalid_client: 'the client did not prove itself: secret, assertion or certificate',
  invalid_grant: 'the code, refresh token or password is not valid (any more)',
  invalid_request:
    'a parameter is missing, twice there or does not fit; or no identity has the secret that came to metadata',
  invalid_resource: 'no service or application has this name',
  invalid_scope: 'the scope is too long, names several resources, or lacks /.default where it must end in it',
  login_required: 'nobody is signed in in this browser, and prompt=none forbids the page',
  server_error: 'a fault of the service; its log has the request id that the message names',
  temporarily_unavailable: 'too many failed or simultaneous logins, or too many devices that wait',
  unauthorized_client: 'there is no such application, or it is disabled',
  unsupported_grant_type: 'the grant type is not known, or the cloud takes no passwords from applications',
  unsupported_response_type: 'response_type is not code',
} as const

/** Of Microsoft Graph, below `/v1.0` of the login host. */
export const GRAPH = {
  Authorization_RequestDenied: 'only an administrator of the tenant may do this',
  BadRequest: '/me was asked for without a person who is signed in',
  Directory_QuotaExceeded: 'the cloud has as many users or applications as it takes',
  ExpiredAuthenticationToken: 'the access token has expired',
  InvalidAuthenticationToken: 'the access token is missing, for another service, revoked or not of this cloud',
  Request_BadRequest: 'a value of the request does not fit, or the change is not allowed',
  Request_Conflict: 'somebody else changed the object in the meantime',
  Request_MultipleObjectsWithSameKeyValue: 'another object has this name, URI or credential',
  Request_ResourceNotFound: 'there is no such object in the tenant',
  Request_UnsupportedQuery: '$filter or $search is not one that Graph takes here',
  invalid_request: 'a field of the request body does not fit',
} as const

/** Of Resource Manager itself: tokens, subscriptions, groups, roles, tags, operations. */
export const RESOURCE_MANAGER = {
  AnotherOperationInProgress: 'somebody else changed this in the meantime, or a change of it is under way',
  AuthenticationFailed: 'the Authorization header is missing or has no bearer token',
  AuthorizationFailed: 'no role of the caller allows this action there',
  CustomRolesNotSupported: 'a role was to be made or deleted: there are the built-in ones only',
  ExpiredAuthenticationToken: 'the access token has expired',
  InvalidAliasName: 'the name of the subscription alias does not fit',
  InvalidApiVersionParameter: 'api-version is not a date of a version',
  InvalidAuthenticationToken: 'the access token is for another service, revoked or not of this cloud',
  InvalidAuthenticationTokenTenant: 'the access token is of another tenant than the subscription',
  InvalidFilterInQueryString: '$filter is not one that this list takes',
  InvalidResourceGroup: 'the name of the resource group does not fit',
  InvalidResourceGroupLocation: 'the resource group exists in another location, which is fixed',
  InvalidResourceLocation: 'the resource exists in another location, which is fixed',
  InvalidResourceNamespace: 'there is no such resource provider here',
  InvalidResourceType: 'the provider has no such type here, or not this operation on it',
  InvalidRoleAssignmentId: 'the name of a role assignment is not a GUID',
  InvalidScope: 'the scope is not a subscription, resource group or resource',
  InvalidSkipToken: 'the $skiptoken was not given by this service',
  InvalidSubscriptionId: 'the id of the subscription is not a GUID',
  InvalidSubscriptionTenant: 'a subscription is to be made in another tenant than the caller is of',
  InvalidTagName: 'the tag name does not fit',
  InvalidTagValue: 'the tag value is too long',
  InvalidTargetResourceGroup: 'targetResourceGroup is not the id of a resource group',
  InvalidTop: '$top is not a whole number',
  LocationNotAvailable: 'this cloud has no such location',
  MissingApiVersionParameter: 'the query parameter api-version is missing',
  OperationInterrupted: 'the service was stopped before the operation ended',
  OperationNotFound: 'there is no such operation (any more)',
  PreconditionFailed: 'If-Match or If-None-Match does not fit the present resource',
  PrincipalNotFound: 'the tenant has no principal of this id',
  ReadOnlyDisabledSubscription: 'the subscription is cancelled: it can only be read',
  ResourceGroupBeingDeleted: 'the resource group is being deleted',
  ResourceGroupNotFound: 'there is no such resource group',
  ResourceGroupQuotaExceeded: 'the subscription has as many resource groups as it takes',
  ResourceMoveFailed: 'source and target group are the same',
  ResourceMoveProviderValidationFailed: "some resources can't be moved; the details name each",
  ResourceNotFound: 'there is no such resource, or it went while it was moved; or nothing is at this path',
  ResourceNotInSourceGroup: 'a resource that is to be moved is not in the source group',
  RoleAssignmentConditionNotSupported: 'a role assignment has a condition',
  RoleAssignmentExists: 'the same role assignment is there under another name',
  RoleAssignmentLimitExceeded: 'the subscription has as many role assignments as it takes',
  RoleAssignmentNotFound: 'there is no such role assignment at this scope',
  RoleAssignmentUpdateNotPermitted: 'a role assignment of this name is there, with other contents',
  RoleDefinitionDoesNotExist: 'there is no such role',
  SubscriptionAliasNotFound: 'there is no such subscription alias',
  SubscriptionAlreadyInTenant: 'the subscription is in that tenant already',
  SubscriptionLimitExceeded: 'the tenant has as many subscriptions as it takes',
  SubscriptionNotFound: 'there is no such subscription, or none that concerns the caller',
  TagNotFound: 'there is no such tag name',
  TenantNotFound: 'there is no such tenant',
  TooManyTagValues: 'the tag name has as many values as it takes',
  TooManyTags: 'the resource would have more tags than it takes',
  TransferNotOffered: 'the subscription was not offered to the caller',
} as const

/** Of Microsoft.KeyVault in Resource Manager: vaults, their policies and diagnostic settings. */
export const VAULT_PROVIDER = {
  BadRequest: 'a field or query parameter does not fit, or the change is not allowed',
  Conflict: 'others change the vault at the same time, or another diagnostic setting has this sink',
  ConflictError: 'the name is held by a soft-deleted vault, or the vault is being purged',
  DeletedVaultNotFound: 'there is no such soft-deleted vault',
  InsufficientPermissions: 'the caller may not change between access policies and roles',
  LocationNotAvailableForResourceType: 'vaults are not offered in this location',
  MethodNotAllowed: 'a soft-deleted vault with purge protection is to be purged',
  NoRegisteredProviderFound: 'the api-version is not one of those of vaults',
  SoftDeletedVaultDoesNotExist: "createMode is 'recover', and there is nothing to recover",
  VaultAlreadyExists: 'a vault of this name is in another subscription or group',
  VaultNameNotValid: 'the name of the vault does not fit',
} as const

/** Of Microsoft.CognitiveServices in Resource Manager: accounts, their encryption, their deployments. */
export const ACCOUNT_PROVIDER = {
  AccountBeingPurged: 'the soft-deleted account is being purged',
  BadRequest: 'the keys were asked for of an account that takes Entra tokens only',
  CanNotRestoreANonExistingResource: "'restore' is true, and there is no such soft-deleted account",
  CrossAccountDeploymentNotSupported: 'the model to deploy is of another account',
  CustomDomainInUse: 'another account has this customSubDomainName',
  CustomSubDomainNameImmutable: 'customSubDomainName is to change',
  CustomerManagedKeyBeforeIdentity:
    'an account is to be made with a customer-managed key; the details are the three steps',
  CustomerManagedKeyRequirementsNotMet: 'the key does not meet the article; the details name each requirement',
  DeploymentModelNotSupported: 'there is no such model to deploy',
  DeploymentNotFound: 'there is no such deployment',
  FlagMustBeSetForRestore: 'the name is held by a soft-deleted account',
  IdentityAndEncryptionTogether: 'identity and encryption are to change in one request',
  InvalidEncryptionSettings: 'keyVaultProperties are missing, or name a user-assigned identity',
  InvalidIdentityType: 'the identity type is neither SystemAssigned nor None',
  InvalidKeyUri: 'keyVaultUri or the key that is named is not one',
  InvalidKind: 'there is no such kind of account here',
  InvalidResourceName: 'the name of the account or deployment does not fit',
  InvalidResourceProperties: 'the deployment has a SKU that the model does not have',
  InvalidSku: 'the SKU of the account is not S0',
  KindImmutable: 'the kind of the account is to change',
  MissingParameter: 'a query parameter is missing',
  QuotaExceeded: 'the subscription has as many accounts, or the account as many deployments, as it takes',
  ReEncryptionInProgress: 'the data of the account is being re-encrypted already',
  ReEncryptionNotFound: 'the data of the account was never re-encrypted',
  ResourceNameInUse: 'the group to move to has an account of this name',
} as const

/** Of what is encrypted: answered by accounts in Resource Manager and by the OpenAI data plane. */
export const ENCRYPTION = {
  BlobNotFound: 'the data was deleted',
  CustomerManagedKeyUnavailable: "the customer's key can't be used; the inner code is the cause",
  DataCorrupted: 'a sealed blob or record is not what was written, or its data key is missing',
  KeyRingNotFound: 'the account has no data keys: it was deleted',
  KeyRingTampered: "the rows of the account's data keys contradict each other, or were put back",
} as const

/** Of a vault's own host: keys and operations with them. */
export const KEY_VAULT = {
  BadParameter: 'a field, query parameter or name of the call does not fit',
  Conflict: 'the key is deleted but recoverable, exists already, or others change it at the same time',
  Forbidden: 'policy, role, firewall or the state of the key forbid it; the inner code says which',
  KeyNotFound: 'there is no such key, version or deleted key',
  NotSupported: 'secure key release and attestation are not offered here',
  ServiceUnavailable: 'the PKCS #11 token that holds the key does not work',
  Unauthorized: 'the token is missing, not valid, or of another tenant; the challenge says where to get one',
  VaultNotFound: 'no live vault has the name of this host',
} as const

/** Of an account's own host: files, jobs, models, chats. The words are those of Azure OpenAI and OpenAI. */
export const OPENAI = {
  '401': 'the API key or access token is missing or not valid',
  '403': "the account's firewall does not let the caller's address in",
  '404': 'no account has the name of this host, or there is nothing at this path',
  '429': 'too many chats or uploads at a time',
  '503': 'the process of the model ended: it is started again',
  AuthenticationTypeDisabled: 'the account takes Entra tokens only',
  DeploymentNotFound: 'there is no such deployment, or it was deleted meanwhile',
  InvalidApiVersionParameter: 'api-version is missing or not a version',
  PermissionDenied: 'no role of the caller allows this data action',
  SubscriptionDisabled: 'the subscription of the account is cancelled',
  'Tenant provided in token does not match resource token': 'the access token is of another tenant than the account',
  array_above_max_length: 'a list of the body has too many items',
  array_below_min_length: 'a list of the body has too few items',
  conflict: 'the file or model is in use, or somebody else changed it in the meantime',
  context_length_exceeded: 'the messages are longer than the context of the model',
  decimal_above_max_value: 'a number of the body is too large',
  decimal_below_min_value: 'a number of the body is too small',
  empty_array: 'a list of the body is empty',
  empty_string: 'a text of the body is empty',
  integer_above_max_value: 'a whole number of the body is too large',
  integer_below_min_value: 'a whole number of the body is too small',
  internalFailure: 'the model or the training ended because of an error in the service',
  invalidPayload: 'the body, a form field or a query parameter does not fit',
  invalid_n_examples: 'the training file has too few examples',
  invalid_parameter_combination: 'two parameters exclude each other',
  invalid_type: 'a field of the body has another type',
  invalid_value: 'a field of the body has a value that is not taken',
  jsonlValidationFailed: 'the training file does not fit; the details name lines and rules',
  missing_required_parameter: 'a field of the body is missing',
  notFound: 'the account has no such file, job, model or checkpoint',
  outOfMemory: 'the training needs more memory than there is',
  quotaExceeded: 'as many jobs are waiting as an account may have',
  string_above_max_length: 'a text of the body is too long',
  string_below_min_length: 'a text of the body is too short',
  unexpectedEntityState: 'the job is in a state in which this is not possible',
  unknown_parameter: 'the body has a field that is not known',
  unsupported_parameter: "the model can't do what this field asks",
  unsupported_value: 'the model takes only the default of this field',
} as const

/** Of the routes that Azure does not have: backup, verification, audit log, clock, tenants, identities' secrets, the portal's files. */
export const OWN_ROUTES = {
  AdministratorOnly: 'the caller is not the administrator of this cloud',
  ApplicationNotFound: 'the cloud has lost the application of its administrator',
  BackupInProgress: 'a backup is under way',
  BackupNotFound: 'the backup is not under way any more',
  BadRequest: 'a query parameter or a time does not fit',
  IdentityNotFound: 'no resource has an identity of this id',
  ManagedIdentityUnavailable: 'the identity of the resource does not exist any more (metadata says `invalid_request`)',
  NotFound: 'the portal has no such file, or this installation lacks it',
  PrincipalNotFound: 'there is no such principal',
  TenantNotFound: 'there is no such tenant',
  TooManyRequests: 'the signing key of tokens was changed too often within a day',
} as const

/** Causes of `CustomerManagedKeyUnavailable`, as its inner code. */
export const KEY_UNAVAILABLE = {
  AccessDenied: 'the access policies give the identity no get, wrapKey or unwrapKey',
  ChallengeMismatch: 'the vault asks for a token for a resource that its host does not belong to',
  CredentialUnavailable: "the operator's credential for vaults outside gives no token",
  FirewallDenied: "the vault's firewall does not let the service in",
  Forbidden: 'the vault refuses and does not say why',
  IdentityLeftBehind: 'the subscription was moved to another tenant, and the identity stayed behind',
  IdentityMissing: 'the system-assigned identity is off',
  KeyDisabled: 'the key version is disabled',
  KeyExpired: 'the key version is before its activation date or past its expiry',
  KeyNotFound: 'the key is deleted, or was never there',
  KeyOperationForbidden: 'the key version does not allow wrapKey or unwrapKey',
  KeyPurged: 'the key was purged',
  KeyReplaced: 'the vault opened something else than what was stored',
  LeaseEnded: 'the vault was not asked before its last permission ended',
  RbacAuthorization: 'the vault goes by roles in place of access policies',
  Refused: 'the vault refuses for another reason, which it says itself',
  TenantMismatch: 'vault and account are of different tenants',
  Throttled: 'the vault takes no more requests for now',
  TokenRefused: 'the vault refuses the token, and a new one as well',
  Unreachable: 'the vault does not answer',
  VaultFailed: 'the vault fails (5xx)',
  VaultNotAllowed: 'the operator of the service allows no calls to that vault',
  VaultNotFound: 'the vault is deleted, or was never there',
} as const

/** Further inner codes: of a vault's `Forbidden`, `Conflict` and tokens, and what is said of a vault that said nothing. */
export const INNER = {
  ForbiddenByConnection: 'Forbidden: public access to the vault is off, and the caller is not a trusted service',
  ForbiddenByFirewall: "Forbidden: the vault's firewall does not list the caller's address",
  ForbiddenByPolicy: 'Forbidden: no access policy gives the caller this permission',
  ForbiddenByRbac: 'Forbidden: no role of the caller allows this data action',
  InvalidAudience: 'InvalidAuthenticationToken: the token is for another service',
  KeyNotYetValid: 'Forbidden: the key version is before its activation date',
  LeftAlone: 'Throttled: the vault said when to ask again, and is not asked until then',
  NoAnswer: 'Unreachable: no answer came',
  ObjectAlreadyExists: 'Conflict: a backup is to be restored under a name that is taken',
  ObjectIsDeletedButRecoverable: 'Conflict: the name is held by a deleted key',
  Timeout: 'Unreachable: no answer came before the lease ended',
  TokenNotYetValid: 'InvalidAuthenticationToken: the token is not valid yet by the clock of this cloud',
  TooManyVersions: 'Forbidden: the key has as many versions as one takes',
  UnknownSigningKey: 'InvalidAuthenticationToken: the token is not signed by a key of this cloud',
  UnreadableAnswer: 'the vault answered, but not in the words of a key vault',
} as const

/** Details of `CustomerManagedKeyRequirementsNotMet`, behind the requirement's id: `R08.PurgeProtectionOff`. Causes above come so too. */
export const REQUIREMENT = {
  IdentityOff: 'the system-assigned identity is off',
  KeyNotYetValid: 'the key version is before its activation date',
  KeyOperations: "the key's operations lack wrapKey or unwrapKey",
  KeySize: 'the RSA key does not have 2048 bits',
  KeyType: 'the key is neither RSA nor RSA-HSM',
  PermissionMissing: 'the identity lacks get, wrapKey or unwrapKey',
  PurgeProtectionOff: 'purge protection is off',
  RegionMismatch: 'vault and account are in different regions',
  SoftDeleteOff: 'soft delete is off',
  TrustedServicesBlocked: "the vault's firewall does not let trusted Microsoft services in",
} as const

/** Details of `jsonlValidationFailed`: what is wrong with a training file. */
export const TRAINING_FILE = {
  duplicate_tool: 'two tools of an example have the same name',
  duplicate_tool_call_id: 'two calls of a message have the same id',
  file_too_large: 'the file has too many bytes',
  invalid_arguments: 'the arguments of a call are not a JSON object written as a string',
  invalid_content: 'a message has no content, an empty one, or one that is neither a text nor a list of text parts',
  invalid_json: 'a line is not valid JSON',
  invalid_message: 'a message is not a JSON object, or has a name that is not a text',
  invalid_n_examples: 'there are too few examples',
  invalid_parallel_tool_calls:
    '"parallel_tool_calls" is neither true nor false, or is false while a message has several calls',
  invalid_tool_call: 'a call has no function or name, or is not in a message of the assistant',
  invalid_tools: 'the definition of a tool does not fit',
  invalid_utf8: 'a line is not valid UTF-8',
  invalid_weight: 'a message has a weight other than 0 and 1, or may not have one',
  line_too_long: 'a line has too many bytes',
  missing_input: 'a preference has no input with messages',
  missing_messages: 'an example has no messages',
  missing_output: 'a preference lacks one of its two outputs',
  missing_role: 'a message has no role',
  missing_tool_result: 'a conversation goes on before each call has its result',
  mixed_formats: 'the file has both conversations and preferences',
  more_findings: 'there are more findings than are listed: the rest of the file was not read',
  no_assistant_message: 'an example has no message of the assistant',
  no_weighted_message: 'every message of the assistant has weight 0',
  not_an_object: 'a line is not a JSON object',
  not_jsonl: 'the file is one JSON array',
  not_utf8: 'the file is not text in UTF-8',
  too_deeply_nested: 'a line, or the arguments of a call, nest JSON too deeply',
  too_many_values: 'a line, or the arguments of a call, have too many JSON values',
  unknown_field: 'an example, a message, a tool or a call has a field that the format does not have',
  unknown_role:
    'a message has another role than system, developer, user, assistant, tool and function, or one that it may not have there',
  unknown_tool: 'a call is of a function that the example does not define, while it defines others',
  unknown_tool_call_id: "a tool's result answers no call of the message of the assistant before it",
  unsupported_content: 'a message has something other than text, such as an image',
  unsupported_tools: 'a tool or a call is of another type than function',
} as const

export type SignInCode = keyof typeof SIGN_IN
export type OpenAiCode = keyof typeof OPENAI

/** What `code` of an error can be, on whatever plane. */
export type ErrorCode =
  | keyof typeof EVERY_HOST
  | SignInCode
  | keyof typeof GRAPH
  | keyof typeof RESOURCE_MANAGER
  | keyof typeof VAULT_PROVIDER
  | keyof typeof ACCOUNT_PROVIDER
  | keyof typeof ENCRYPTION
  | keyof typeof KEY_VAULT
  | OpenAiCode
  | keyof typeof OWN_ROUTES

export type RequirementName = keyof typeof REQUIREMENT | keyof typeof KEY_UNAVAILABLE

/** A code from a vault, passed on as it is. Vaults outside of this cloud may return any code. */
export type ForeignCode = string & { readonly saidBy: 'vault' }

export function foreignCode(code: string): ForeignCode {
  return code as ForeignCode
}

/** What `innererror.code` can be: the cause, or below it the vault's own code. */
export type InnerCode = keyof typeof KEY_UNAVAILABLE | keyof typeof INNER | ForeignCode

/** What `code` of a detail can be. Where one request did several things, it is the code of another error. */
export type DetailCode = ErrorCode | keyof typeof TRAINING_FILE | `R${number}.${RequirementName}` | `Step${number}`
