import { rotateFiles } from '../../tiers/ring/files.ts'
import { keyRing } from '../../tiers/ring/key-ring.ts'

/** Rotates a folder, and kills itself in the middle of the file after so many, a little later each time it is told so. */
const [folder, files, laterMs, ...secrets] = process.argv.slice(2)
const ring = keyRing(
  'eu',
  secrets.map((s) => Buffer.from(s, 'base64')),
)
let rotated = 0
for await (const { outcome } of rotateFiles([folder!], ring)) {
  if (outcome === 'rotated' && ++rotated === Number(files)) {
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), Number(laterMs))
  }
}
