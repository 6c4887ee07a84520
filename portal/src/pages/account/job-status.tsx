import { Badge } from '@fluentui/react-components'

const COLOURS: Readonly<Record<string, 'success' | 'danger' | 'warning' | 'brand'>> = {
  succeeded: 'success',
  failed: 'danger',
  paused: 'warning',
}

export const JobStatus = ({ status }: { status: string }) => <Badge color={COLOURS[status] ?? 'brand'}>{status}</Badge>
