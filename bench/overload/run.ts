import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startCloudProcess } from '../../src/harness/cloud-process.ts'
import { Session } from '../../test/torture/session.ts'
import { deploy, fill, uploadLarge } from './fill.ts'
import { residentMebibytes, SmallGets, type Sample } from './measure.ts'
import { chats, idle, slowReaders, slowWriters, type Pressure } from './pressure.ts'

/** `npm run overload -- --minutes 60`: a full cloud under more clients than it accepts. One line for each phase, then one a minute. */
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '3' },
    accounts: { type: 'string', default: '1000' },
    files: { type: 'string', default: '20000' },
    jobs: { type: 'string', default: '2000' },
    idle: { type: 'string', default: '10000' },
    slow: { type: 'string', default: '200' },
    chats: { type: 'string', default: '1000' },
    /** Of each phase but the last, which takes the minutes. */
    seconds: { type: 'string', default: '15' },
  },
})
const given = Object.fromEntries(Object.entries(values).map(([name, text]) => [name, Number(text)])) as Record<
  keyof typeof values,
  number
>
const pause = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 3000))
const say = (line: string): void => void process.stdout.write(`${line}\n`)
const folder = await mkdtemp(join(tmpdir(), 'ownkey-overload-'))
const dataDir = join(folder, 'cloud')
let cloud = await startCloudProcess(dataDir)
say(`empty: ready after ${Math.round(cloud.startMs)} ms, ${residentMebibytes(cloud.pid).toFixed(0)} MiB`)
try {
  const full = await fill(new Session(cloud.endpoints), given, say)
  const [account, other] = full
  if (account === undefined || other === undefined) throw new Error('It takes 2 accounts and more.')
  const session = new Session(cloud.endpoints)
  const large = await uploadLarge(session, other)
  await deploy(session, other)
  say(`filled: ${residentMebibytes(cloud.pid).toFixed(0)} MiB`)
  await cloud.stop()
  cloud = await startCloudProcess(dataDir, ['--port', String(cloud.endpoints.port)])
  say(`full: ready after ${Math.round(cloud.startMs)} ms, ${residentMebibytes(cloud.pid).toFixed(0)} MiB`)
  const { endpoints } = cloud
  const gets = new SmallGets(endpoints, account, cloud.pid)
  const phase = async (name: string, ...under: readonly Pressure[]): Promise<void> => {
    row(name, await gets.sample(given.seconds))
    for (const one of under) say(`  ${one.name}: ${JSON.stringify(one.tally())}`)
    for (const one of under) one.stop()
    await pause()
  }
  say('phase                     GETs  failed  median     p99  slowest  memory  open files')
  await phase('jobs alone')
  await phase('idle connections', idle(endpoints, given.idle))
  const readers = () => slowReaders(endpoints, other, large, given.slow / 2)
  const writers = () => slowWriters(endpoints, other, given.slow / 2)
  await phase('slow readers and writers', readers(), writers())
  await phase('chats', chats(endpoints, other, given.chats))
  // Under many new connections an unauthenticated one may lose its place, so slow clients go first.
  const all = [readers(), writers()]
  await pause()
  all.push(chats(endpoints, other, given.chats))
  await pause()
  all.push(idle(endpoints, given.idle))
  for (let minute = 1; minute <= given.minutes; minute += 1) row(`all, minute ${minute}`, await gets.sample(60))
  for (const one of all) say(`  ${one.name}: ${JSON.stringify(one.tally())}`)
  for (const one of all) one.stop()
  await pause()
  await phase('afterwards')
  await gets.stop()
} finally {
  await cloud.stop()
  await rm(folder, { recursive: true, force: true })
}

function row(name: string, { requests, failed, median, p99, slowest, mebibytes, openFiles }: Sample): void {
  const cell = (text: string | number, width: number): string => String(text).padStart(width)
  const ms = (value: number): string => `${value.toFixed(1)} ms`
  say(
    name.padEnd(24) +
      cell(requests, 6) +
      cell(failed, 8) +
      cell(ms(median), 10) +
      cell(ms(p99), 10) +
      cell(ms(slowest), 10) +
      cell(`${mebibytes.toFixed(0)} MiB`, 9) +
      cell(openFiles, 8),
  )
}
