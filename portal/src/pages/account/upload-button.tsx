import { Button, Field, ProgressBar } from '@fluentui/react-components'
import { useRef, useState } from 'react'
import type { Account } from '../../api/arm.ts'
import { useRefresh } from '../../api/hooks.ts'
import { uploadFile } from '../../api/upload.ts'
import { useAction } from '../../parts/action.ts'
import { Failure } from '../../parts/states.tsx'

/** Uploads a chosen training file. Shows the progress, and problems of the file by line. */
export function UploadButton({ account, isPrimary = false }: { account: Account; isPrimary?: boolean }) {
  const picker = useRef<HTMLInputElement>(null)
  const [share, setShare] = useState(0)
  const [done, setDone] = useState('')
  const uploading = useAction()
  const refresh = useRefresh()
  const upload = async (chosen: File): Promise<void> => {
    setShare(0)
    setDone('')
    const went = await uploading.run(async () => {
      await uploadFile(account, chosen, setShare)
      await refresh('files', 'protected')
    })
    if (went) setDone(`${chosen.name} is uploaded.`)
    if (picker.current !== null) picker.current.value = ''
  }
  return (
    <>
      <Button
        appearance={isPrimary ? 'primary' : 'secondary'}
        onClick={() => picker.current?.click()}
        disabled={uploading.busy}
      >
        Upload file
      </Button>
      <input
        ref={picker}
        type="file"
        accept=".jsonl"
        hidden
        aria-label="Training file"
        onChange={({ target }) => target.files?.[0] !== undefined && void upload(target.files[0])}
      />
      <div className="below" aria-live="polite">
        {uploading.busy && (
          <Field
            validationMessage={share < 1 ? `Uploading, ${Math.round(share * 100)} %` : 'Sealing and checking…'}
            validationState="none"
          >
            <ProgressBar value={share} />
          </Field>
        )}
        {done !== '' && <p className="good small">{done}</p>}
        {uploading.error !== undefined && <Failure error={uploading.error} />}
      </div>
    </>
  )
}
