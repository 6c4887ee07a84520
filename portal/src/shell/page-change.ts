import { useEffect, useRef } from 'react'

/** A new page begins at its top, with the focus in it. On going back, the browser restores the position. */
export function usePageChange(path: string): void {
  const last = useRef(path)
  const wentBack = useRef(false)
  useEffect(() => {
    const note = (): void => {
      wentBack.current = true
    }
    addEventListener('popstate', note)
    return () => removeEventListener('popstate', note)
  }, [])
  useEffect(() => {
    if (last.current === path) return
    last.current = path
    if (!wentBack.current) scrollTo(0, 0)
    wentBack.current = false
    // The pressed element is gone with its page. Where a menu stayed, the focus stays in it.
    if (document.activeElement === document.body) document.getElementById('content')?.focus({ preventScroll: true })
  }, [path])
}
