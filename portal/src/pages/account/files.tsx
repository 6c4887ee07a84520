import { Button, Field, ProgressBar } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import type { Account } from '../../api/arm.ts'
import { openai, openaiList, openaiSend, type OpenAiFile } from '../../api/openai.ts'
import { uploadFile } from '../../api/upload.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { bytes, time } from '../../parts/facts.tsx'
import { Rows } from '../../parts/rows.tsx'
import { Failure, Loaded } from '../../parts/states.tsx'

export const useFiles = (account: Account) =>
  useQuery({ queryKey: ['files', account.id], queryFn: () => openaiList<OpenAiFile>(account, '/files') })

export function Files({ account }: { account: Account }) {
  const files = useFiles(account)
  const picker = useRef<HTMLInputElement>(null)
  const [share, setShare] = useState<number>()
  const [error, setError] = useState<unknown>()
  const [deleting, setDeleting] = useState<OpenAiFile>()
  const upload = async (chosen: File): Promise<void> => {
    setError(undefined)
    setShare(0)
    try {
      await uploadFile(account, chosen, setShare)
      await files.refetch()
    } catch (failed) {
      setError(failed)
    } finally {
      setShare(undefined)
      if (picker.current !== null) picker.current.value = ''
    }
  }
  const download = async (file: OpenAiFile): Promise<void> => {
    setError(undefined)
    try {
      const blob = await (await openaiSend(account, `/files/${file.id}/content`)).blob()
      const link = document.createElement('a')
      link.href = URL.createObjectURL(blob)
      link.download = file.filename
      link.click()
      URL.revokeObjectURL(link.href)
    } catch (failed) {
      setError(failed)
    }
  }
  return (
    <>
      <div className="commands">
        <Button appearance="primary" onClick={() => picker.current?.click()} disabled={share !== undefined}>
          Upload file
        </Button>
        <Button appearance="subtle" onClick={() => void files.refetch()}>
          Refresh
        </Button>
        <input
          ref={picker}
          type="file"
          accept=".jsonl"
          hidden
          aria-label="Training file"
          onChange={({ target }) => target.files?.[0] !== undefined && void upload(target.files[0])}
        />
      </div>
      {share !== undefined && (
        <Field
          validationMessage={share < 1 ? `Uploading, ${Math.round(share * 100)} %` : 'Sealing and checking…'}
          validationState="none"
        >
          <ProgressBar value={share} />
        </Field>
      )}
      {error !== undefined && <Failure error={error} />}
      <Loaded query={files} what="files">
        {found => (
          <Rows
            label="Files"
            rows={found}
            keyOf={file => file.id}
            empty="No files yet. Upload chat-format JSONL: one example on each line, ten or more."
            columns={[
              { name: 'Name', cell: file => file.filename },
              { name: 'Purpose', cell: file => file.purpose },
              { name: 'Size', cell: file => <span className="nowrap">{bytes(file.bytes)}</span> },
              { name: 'Created', cell: file => <span className="nowrap">{time(file.created_at)}</span> },
              { name: 'Id', cell: file => <span className="mono">{file.id}</span> },
              {
                name: 'Actions',
                isActions: true,
                cell: file => (
                  <>
                    <Button
                      size="small"
                      appearance="subtle"
                      aria-label={`Download ${file.filename}`}
                      onClick={() => void download(file)}
                    >
                      Download
                    </Button>
                    <Button
                      size="small"
                      appearance="subtle"
                      aria-label={`Delete ${file.filename}`}
                      onClick={() => setDeleting(file)}
                    >
                      Delete
                    </Button>
                  </>
                ),
              },
            ]}
          />
        )}
      </Loaded>
      {deleting !== undefined && (
        <Confirm
          title={`Delete ${deleting.filename}?`}
          action="Delete"
          onConfirm={async () => {
            await openai(account, `/files/${deleting.id}`, { method: 'DELETE' })
            await files.refetch()
          }}
          onClose={() => setDeleting(undefined)}
        >
          <p>Its key is destroyed: the bytes can't be recovered, not even from a copy of the disk.</p>
        </Confirm>
      )}
    </>
  )
}
