import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startEngineProcess } from './engine-process.ts'
import type { GpuChoice, GpuVariant } from './engine-settings.ts'
import { EngineFailure } from './failures.ts'
import type { InferenceCommand, InferenceReply } from './inference.ts'

/** Variants that node-llama-cpp has a package for, the better first. Everything else is computed on the CPU. */
const VARIANTS: Readonly<Record<string, readonly GpuVariant[]>> = {
  'linux-x64': ['cuda', 'vulkan'],
  'darwin-arm64': ['metal'],
}
const PLATFORM = `${process.platform}-${process.arch}`
/** What else has to be there. */
const NEEDS: Readonly<Record<GpuVariant, string>> = {
  cpu: '',
  cuda: "It needs NVIDIA's driver (nvidia-smi says whether it works) and the CUDA 12 or 13 runtime libraries.",
  vulkan:
    'It needs the Vulkan loader (Debian, Ubuntu: libvulkan1) and the driver of a GPU, not one that computes on the CPU.',
  metal: '',
}

/** The variant that is used, and the devices that it found. */
export interface Gpu {
  readonly variant: GpuVariant
  readonly devices: readonly string[]
}

/**
 * Looks for what the operator chose, before anything is served with it. `auto` takes the first variant that works here.
 * @param log hears why `auto` passes one over
 * @throws EngineFailure that says what to install, where a variant was asked for by name and does not work
 */
export async function findGpu(choice: GpuChoice, log: (message: string) => void = () => undefined): Promise<Gpu> {
  if (choice === 'cpu') return { variant: 'cpu', devices: [] }
  const known = VARIANTS[PLATFORM] ?? []
  if (choice !== 'auto') return tried(choice, known)
  for (const variant of known) {
    const found = await tried(variant, known).catch((error: unknown) => {
      if (isInstalled(variant)) log(error instanceof Error ? error.message : String(error))
    })
    if (found !== undefined) return found
  }
  return { variant: 'cpu', devices: [] }
}

async function tried(variant: GpuVariant, known: readonly GpuVariant[]): Promise<Gpu> {
  if (!known.includes(variant)) {
    const others = known.length === 0 ? 'only the CPU' : `only ${known.join(' and ')}`
    throw new EngineFailure(
      `--gpu ${variant} does not exist for this platform (${PLATFORM}): ${others} can be used here.`,
    )
  }
  if (!isInstalled(variant)) throw new EngineFailure(installAdvice(variant))
  const child = startEngineProcess(new URL('./inference.child.ts', import.meta.url), 'test of the GPU', {
    gpu: variant,
  })
  try {
    await child.send({ type: 'probe', gpu: variant } satisfies InferenceCommand)
    const reply = (await child.next()).header as unknown as InferenceReply
    if (reply.type === 'gpu') return { variant, devices: reply.devices }
    throw new EngineFailure(reply.type === 'failed' ? reply.message : 'it did not answer')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new EngineFailure(
      `--gpu ${variant}: ${OWNER}/${folderOf(variant)} is installed, but finds no GPU that it can use (${why}). ${NEEDS[variant]} Or start with --gpu cpu.`,
      { cause: error },
    )
  } finally {
    child.kill()
    await child.ended
  }
}

const OWNER = '@node-llama-cpp'
const folderOf = (variant: GpuVariant): string => `${PLATFORM.replace('darwin', 'mac')}-${variant}`

/** node_modules, with node-llama-cpp in it. */
const packages = (): string => join(dirname(fileURLToPath(import.meta.resolve('node-llama-cpp'))), '..', '..')

/** A package that is left out is there all the same, as a link to an empty one. */
function isInstalled(variant: GpuVariant): boolean {
  return existsSync(join(packages(), OWNER, folderOf(variant), 'bins'))
}

interface Version {
  readonly version: string
}

function installAdvice(variant: GpuVariant): string {
  const { version } = JSON.parse(readFileSync(join(packages(), 'node-llama-cpp', 'package.json'), 'utf8')) as Version
  const name = `${OWNER}/${folderOf(variant)}`
  const parts = ['', ...(variant === 'cuda' ? ['-ext'] : [])]
  const commands = parts.flatMap(part => [
    `  npm pack ${name}${part}@${version}`,
    `  rm ${folderOf(variant)}${part}; mkdir ${folderOf(variant)}${part}`,
    `  tar xzf *-${variant}${part}-${version}.tgz --strip 1 -C ${folderOf(variant)}${part}`,
  ])
  return [
    `--gpu ${variant} needs the package ${name}, which OwnKey does not install. In its folder:`,
    `  cd node_modules/${OWNER}`,
    ...commands,
    `${NEEDS[variant]} See docs/engines.md.`,
  ].join('\n')
}
