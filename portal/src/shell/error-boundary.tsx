import { Button } from '@fluentui/react-components'
import { Component, type ReactNode } from 'react'
import { Failure } from '../parts/states.tsx'

interface Props {
  /** Another page resets it. */
  readonly at: string
  readonly children: ReactNode
}

/** A page that breaks, or whose script is gone after an update of the cloud, leaves the rest of the portal working. */
export class ErrorBoundary extends Component<Props, { error: unknown }> {
  constructor(props: Props) {
    super(props)
    this.state = { error: undefined }
  }

  static getDerivedStateFromError(error: unknown): { error: unknown } {
    return { error }
  }

  override componentDidUpdate(before: Props): void {
    if (before.at !== this.props.at && this.state.error !== undefined) this.setState({ error: undefined })
  }

  override render(): ReactNode {
    if (this.state.error === undefined) return this.props.children
    return (
      <main className="home" id="content" tabIndex={-1}>
        <h1>This page can&rsquo;t be shown</h1>
        <Failure error={this.state.error} />
        <Button onClick={() => location.reload()}>Load it again</Button>
      </main>
    )
  }
}
