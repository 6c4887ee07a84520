// For Node clients: `node --import FOLDER/src/http/localhost.mjs app.js` makes *.localhost resolve where the system's resolver
// does not. Node from 18.18 on; `./ownkey run FILE` loads it by itself.
import { resolveLocalNames } from './local-names.mjs'

resolveLocalNames()
