// For Node clients: `node --import ownkey/localhost app.js` makes *.localhost resolve where the system's resolver does not.
import { resolveLocalNames } from './local-names.mjs'

resolveLocalNames()
