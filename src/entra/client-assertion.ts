import { X509Certificate } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader, jwtVerify, type JWTPayload, type ProtectedHeaderParameters } from 'jose'
import type { Env } from '../base/env.ts'
import { AzureError } from '../http/errors.ts'
import { loginError, type AadstsNumber } from './aadsts.ts'
import type { IssuerKeys } from './issuer-keys.ts'
import type { Application, ClientCertificate, FederatedCredential } from './records.ts'

const TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const LONGEST = 16_384
/** An assertion that lasts longer does not prove that the client has its key now. Clients make them for ten minutes. */
const LONGEST_LIFE = 24 * 3600
const SKEW = '300 seconds'

export interface AssertionCheck {
  readonly env: Env
  readonly issuerKeys: IssuerKeys
  /** Audiences that a client may name: token endpoints and issuers of its tenant, under the host that it called. */
  readonly audiences: readonly string[]
}

/**
 * Who signed this assertion (RFC 7523): the application itself with the key of one of its certificates, or an issuer that it trusts.
 * @throws AADSTS700027 signature, 700023 audience, 700024 times, 70021 no federated credential fits, 1000502 certificate out of date
 */
export async function checkClientAssertion(
  application: Application,
  form: { readonly type: string | null; readonly assertion: string },
  check: AssertionCheck,
): Promise<'certificate' | 'federated'> {
  if (form.type !== TYPE)
    throw refused(90_023, `The parameter client_assertion_type must be '${TYPE}'.`, 'invalid_request')
  const { header, claims } = decoded(form.assertion)
  const isOwn = claims.iss?.toLowerCase() === application.appId && claims.sub?.toLowerCase() === application.appId
  if (isOwn) {
    await checkCertificate(application, form.assertion, header, check)
    return 'certificate'
  }
  await checkFederated(application, form.assertion, claims, check)
  return 'federated'
}

function decoded(assertion: string): { header: ProtectedHeaderParameters; claims: JWTPayload } {
  try {
    if (assertion.length > LONGEST) throw new Error('too long')
    return { header: decodeProtectedHeader(assertion), claims: decodeJwt(assertion) }
  } catch (error) {
    throw refused(50_027, 'The client assertion is not a JSON Web Token.', 'invalid_client', error)
  }
}

async function checkCertificate(
  application: Application,
  assertion: string,
  header: ProtectedHeaderParameters,
  { env, audiences }: AssertionCheck,
): Promise<void> {
  const certificate = application.certificates?.find(known => isNamed(known, header))
  if (!certificate)
    throw refused(
      700_027,
      `The certificate with which the client assertion is signed is not registered for application '${application.appId}': the header's x5t or x5t#S256 names none.`,
    )
  const now = env.now()
  if (now < certificate.notBefore || now >= certificate.notAfter)
    throw refused(
      1_000_502,
      `The certificate ${certificate.keyId} of application '${application.appId}' is not within its validity period.`,
    )
  const { publicKey } = new X509Certificate(Buffer.from(certificate.certificate, 'base64'))
  const claims = await verified(
    async () => (await jwtVerify(assertion, publicKey, { ...times(env), algorithms: ['RS256', 'PS256'] })).payload,
  )
  checkLife(claims, env)
  const asked = [claims.aud ?? []].flat()
  if (!asked.some(audience => audiences.includes(audience.replace(/\/$/, '').toLowerCase())))
    throw refused(
      700_023,
      `The client assertion's audience '${String(asked[0]).slice(0, 200)}' is not the token endpoint of this tenant.`,
    )
}

/** By SHA-256 or, for older clients, by SHA-1. Python's MSAL keeps the padding, which RFC 7515 does not allow. */
function isNamed(known: ClientCertificate, header: ProtectedHeaderParameters): boolean {
  const { x5t, 'x5t#S256': x5tS256 } = header as { x5t?: unknown; 'x5t#S256'?: unknown }
  if (x5tS256 !== undefined) return unpadded(x5tS256) === known.x5tS256
  return unpadded(x5t) === known.x5t
}

function unpadded(text: unknown): string | undefined {
  return typeof text === 'string' ? text.replace(/={0,2}$/, '') : undefined
}

async function checkFederated(
  application: Application,
  assertion: string,
  claims: JWTPayload,
  { env, issuerKeys }: AssertionCheck,
): Promise<void> {
  const trusted = application.federatedCredentials?.find(known => fits(known, claims))
  // Only an issuer that the application names is asked for its keys, so callers can't make us call other hosts.
  if (!trusted)
    throw refused(
      70_021,
      `No federated credential of application '${application.appId}' fits issuer '${String(claims.iss).slice(0, 200)}', subject '${String(claims.sub).slice(0, 200)}' and audience '${String([claims.aud ?? ''].flat()[0]).slice(0, 200)}'. All three are compared letter by letter.`,
    )
  const keys = await issuerKeys.of(trusted.issuer)
  const proven = await verified(
    async () =>
      (
        await jwtVerify(assertion, keys, {
          ...times(env),
          algorithms: ['RS256', 'PS256', 'ES256'],
          issuer: trusted.issuer,
          subject: trusted.subject,
          audience: [...trusted.audiences],
        })
      ).payload,
  )
  checkLife(proven, env)
}

function fits(known: FederatedCredential, claims: JWTPayload): boolean {
  const audiences = [claims.aud ?? []].flat()
  return (
    known.issuer === claims.iss && known.subject === claims.sub && audiences.some(aud => known.audiences.includes(aud))
  )
}

const times = (env: Env) => ({ currentDate: new Date(env.now()), clockTolerance: SKEW, requiredClaims: ['exp'] })

async function verified(verify: () => Promise<JWTPayload>): Promise<JWTPayload> {
  try {
    return await verify()
  } catch (error) {
    if (error instanceof AzureError) throw error
    const code = (error as { code?: string }).code
    if (code === 'ERR_JWT_EXPIRED' || (error as { claim?: string }).claim === 'nbf')
      throw refused(
        700_024,
        'The client assertion is not within its valid time range. Compare the clocks.',
        'invalid_client',
        error,
      )
    throw refused(700_027, 'The signature of the client assertion does not fit.', 'invalid_client', error)
  }
}

function checkLife({ exp = 0, iat, nbf }: JWTPayload, env: Env): void {
  const from = iat ?? nbf ?? Math.floor(env.now() / 1000)
  if (exp - from <= LONGEST_LIFE) return
  throw refused(
    700_024,
    `The client assertion lasts longer than ${LONGEST_LIFE / 3600} hours: make one for ten minutes.`,
  )
}

function refused(
  number: AadstsNumber,
  message: string,
  code: 'invalid_client' | 'invalid_request' = 'invalid_client',
  cause?: unknown,
): AzureError {
  const error = loginError(code, number, message)
  return cause === undefined ? error : new AzureError(error.code, error.status, error.message, { cause })
}
