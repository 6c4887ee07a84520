/** Makes `domain` and all names below it loopback in this process (RFC 6761 6.3), where the system's resolver does not. */
export function resolveLocalNames(domain?: string): void
