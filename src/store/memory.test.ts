import { blobStoreConforms } from './blob-store-conformance.ts'
import { pairsConform } from './pair-conformance.ts'
import { recordStoreConforms } from './record-store-conformance.ts'
import { openMemoryBlobs } from './memory-blobs.ts'
import { openMemoryRecords } from './memory-records.ts'

recordStoreConforms('memory', async () => openMemoryRecords())
pairsConform('memory', async () => openMemoryRecords())
blobStoreConforms('memory', async () => openMemoryBlobs())
