import { blobStoreConforms } from './blob-store-conformance.ts'
import { recordStoreConforms } from './record-store-conformance.ts'
import { openMemoryBlobs } from './memory-blobs.ts'
import { openMemoryRecords } from './memory-records.ts'

recordStoreConforms('memory', async () => openMemoryRecords())
blobStoreConforms('memory', async () => openMemoryBlobs())
