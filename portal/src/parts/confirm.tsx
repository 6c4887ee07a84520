import {
  Button,
  Dialog,
  DialogActions,
  DialogBody,
  DialogContent,
  DialogSurface,
  DialogTitle,
} from '@fluentui/react-components'
import { useEffect, useState, type ReactNode } from 'react'
import { Failure } from './states.tsx'

/** A dialog that does one thing when it is confirmed, shows its progress, and closes on success. `false` leaves it open for a next step. */
export function Confirm(props: {
  readonly title: string
  readonly action: string
  readonly children: ReactNode
  readonly disabled?: boolean
  /** In a dialog with steps: goes back by one. */
  readonly onBack?: (() => void) | undefined
  readonly onConfirm: () => Promise<unknown>
  readonly onClose: () => void
}) {
  const { title, action, children, disabled = false, onBack, onConfirm, onClose } = props
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const [opener] = useState(() => document.activeElement)
  // Keyboard users go on where they were.
  useEffect(() => () => (opener instanceof HTMLElement ? opener.focus() : undefined), [opener])
  const confirm = async (): Promise<void> => {
    setBusy(true)
    setError(undefined)
    try {
      if ((await onConfirm()) !== false) onClose()
    } catch (failed) {
      setError(failed)
    } finally {
      setBusy(false)
    }
  }
  return (
    <Dialog open onOpenChange={(_, { open }) => !open && !busy && onClose()}>
      <DialogSurface>
        <form
          onSubmit={event => {
            event.preventDefault()
            void confirm()
          }}
        >
          <DialogBody>
            <DialogTitle>{title}</DialogTitle>
            <DialogContent>
              <div className="form">
                {children}
                {error !== undefined && <Failure error={error} />}
              </div>
            </DialogContent>
            <DialogActions>
              {onBack !== undefined && (
                <Button
                  disabled={busy}
                  onClick={() => {
                    setError(undefined)
                    onBack()
                  }}
                >
                  Previous
                </Button>
              )}
              <Button appearance="primary" type="submit" disabled={busy || disabled}>
                {busy ? 'Working…' : action}
              </Button>
              <Button onClick={onClose} disabled={busy}>
                Cancel
              </Button>
            </DialogActions>
          </DialogBody>
        </form>
      </DialogSurface>
    </Dialog>
  )
}
