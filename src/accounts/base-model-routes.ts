import { statSync } from 'node:fs'
import { stateOf, type Catalogue } from '../engines/catalogue.ts'
import type { BaseModel } from '../engines/engine.ts'
import { json } from '../http/respond.ts'
import type { Route } from '../http/route.ts'

/** Not in Azure: the base models of this cloud, with what is known of their files, but not where those lie. Everybody who is signed in may read it. */
export function baseModelRoutes(catalogue: Catalogue): Route[] {
  return [
    {
      host: 'management',
      auth: 'management',
      method: 'GET',
      path: '/ownkey/base-models',
      maxBody: 0,
      handler: () => json({ value: catalogue.models.map(model => shown(model, aliasesOf(catalogue, model))) }),
    },
  ]
}

function aliasesOf(catalogue: Catalogue, model: BaseModel): string[] {
  return catalogue.aliases
    .map(([alias]) => alias)
    .filter(alias => alias !== model.name && catalogue.get(alias) === model)
}

function shown(model: BaseModel, aliases: readonly string[]): object {
  const { name, licence, parameters, contextLength, description, sha256, fineTune, untrainable } = model
  return {
    name,
    aliases,
    description,
    licence,
    parameters,
    contextLength,
    bytes: model.stamp?.bytes ?? statSync(model.path, { throwIfNoEntry: false })?.size ?? 0,
    sha256,
    fineTune,
    ...(untrainable === undefined ? {} : { untrainable }),
    /** `in order`, or `changed` or `missing` since the start. */
    state: stateOf(model),
  }
}
