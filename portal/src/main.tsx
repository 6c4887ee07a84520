import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { loadConfig } from './api/config.ts'
import { signIn } from './api/session.ts'
import { App } from './app.tsx'
import './portal.css'

const place = document.getElementById('root')

try {
  await loadConfig()
  const account = await signIn()
  if (account !== undefined && place !== null) {
    createRoot(place).render(
      <StrictMode>
        <App />
      </StrictMode>,
    )
  }
} catch (error) {
  const message = document.createElement('p')
  message.className = 'start'
  message.setAttribute('role', 'alert')
  message.textContent = `The portal can't be opened: ${error instanceof Error ? error.message : String(error)}`
  place?.replaceChildren(message)
}
