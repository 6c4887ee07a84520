import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { GpuVariant } from '../engine-settings.ts'

/** Devices of GPUs on this machine. An engine that uses one may read, write and control them. */
export function gpuDevices(variant: GpuVariant): string[] {
  if (variant === 'cpu' || process.platform !== 'linux') return []
  const own = readdirSync('/dev').filter(name => name.startsWith('nvidia') || name === 'dri' || name === 'kfd')
  return own.map(name => join('/dev', name))
}

/** What drivers of GPUs read besides libraries. */
export function gpuReads(variant: GpuVariant): readonly string[] {
  return variant === 'cpu' ? [] : READS
}

const READS = [
  '/proc/driver/nvidia',
  '/proc/devices',
  '/proc/modules',
  '/sys/bus/pci',
  '/sys/class/drm',
  '/sys/dev/char',
  '/sys/devices',
  '/sys/module',
  '/etc/vulkan',
  '/usr/share/vulkan',
  '/usr/share/nvidia',
  '/usr/share/drirc.d',
  '/usr/local/cuda',
  '/etc/OpenCL',
  '/usr/share/glvnd',
  '/etc/glvnd',
  '/etc/alternatives',
]
