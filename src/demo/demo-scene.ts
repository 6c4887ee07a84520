import { Scene } from '../harness/scene.ts'
import { showProof, type Proof } from './terminal.ts'

/** What the demo plays in, and what it has proven so far. */
export class DemoScene extends Scene {
  readonly proofs: Proof[] = []

  prove(claim: string, holds: boolean, evidence = ''): void {
    const proof = { claim, holds, evidence }
    this.proofs.push(proof)
    showProof(proof)
  }
}
