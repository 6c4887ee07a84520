import { Button } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { Account } from '../../api/arm.ts'
import { downloadFile, openai, openaiList, type OpenAiFile } from '../../api/openai.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { bytes, time } from '../../parts/facts.tsx'
import { Rows } from '../../parts/rows.tsx'
import { Failure, Loaded } from '../../parts/states.tsx'
import { UploadButton } from './upload-button.tsx'

export const useFiles = (account: Account) =>
  useQuery({ queryKey: ['files', account.id], queryFn: () => openaiList<OpenAiFile>(account, '/files') })

export function Files({ account }: { account: Account }) {
  const files = useFiles(account)
  const [error, setError] = useState<unknown>()
  const [deleting, setDeleting] = useState<OpenAiFile>()
  const download = async (file: OpenAiFile): Promise<void> => {
    setError(undefined)
    await downloadFile(account, file.id, file.filename).catch(setError)
  }
  return (
    <>
      <div className="commands">
        <UploadButton account={account} isPrimary />
        <Button appearance="subtle" onClick={() => void files.refetch()}>
          Refresh
        </Button>
      </div>
      {error !== undefined && <Failure error={error} />}
      <Loaded query={files} what="files">
        {found => (
          <Rows
            label="Files"
            rows={found}
            keyOf={file => file.id}
            empty="No files yet. Upload chat-format JSONL: one example on each line, ten or more."
            columns={[
              { name: 'Name', cell: file => <span className="anywhere">{file.filename}</span> },
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
