import { Button, Menu, MenuItem, MenuItemRadio, MenuList, MenuPopover, MenuTrigger } from '@fluentui/react-components'
import { Link } from 'wouter'
import { config } from '../api/config.ts'
import { signedInUser, signOut } from '../api/session.ts'
import type { ThemeChoice } from '../app.tsx'

/** The bar on every page: home, the theme, the signed-in user. */
export function TopBar({ theme, onTheme }: { theme: ThemeChoice; onTheme: (next: ThemeChoice) => void }) {
  const { name, userName } = signedInUser()
  return (
    <header className="top">
      <a className="skip" href="#content">
        Skip to the content
      </a>
      <Link href="/" className="brand">
        <img src="/icon.svg" alt="" />
        OwnKey
      </Link>
      <span className="grow" />
      <Link href="/base-models">Base models</Link>
      <Link href="/truth-table">Truth table</Link>
      {config().clockControl && <Link href="/clock">Clock</Link>}
      <Menu
        checkedValues={{ theme: [theme] }}
        onCheckedValueChange={(_, data) => onTheme((data.checkedItems[0] ?? 'system') as ThemeChoice)}
      >
        <MenuTrigger disableButtonEnhancement>
          <Button appearance="transparent">
            <span className="initial" aria-hidden>
              {(name || userName).slice(0, 1).toUpperCase()}
            </span>
            <span className="user-name">{name || userName}</span>
            <span aria-hidden>&nbsp;▾</span>
          </Button>
        </MenuTrigger>
        <MenuPopover>
          <MenuList>
            <MenuItem disabled>{userName}</MenuItem>
            <MenuItemRadio name="theme" value="system">
              Theme of the system
            </MenuItemRadio>
            <MenuItemRadio name="theme" value="light">
              Light
            </MenuItemRadio>
            <MenuItemRadio name="theme" value="dark">
              Dark
            </MenuItemRadio>
            <MenuItem onClick={() => void signOut()}>Sign out</MenuItem>
          </MenuList>
        </MenuPopover>
      </Menu>
    </header>
  )
}
