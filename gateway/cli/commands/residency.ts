import { writeFile } from 'node:fs/promises'
import { Command } from 'commander'
import type { ResidencyReport, SignedReport } from '../../../tiers/residency/report/document.ts'
import type { TenantView } from '../../admin/views.ts'
import { segment } from '../admin-client.ts'
import { cliOf } from '../cli.ts'
import { EXIT } from '../exit-codes.ts'
import { collect } from '../options.ts'
import type { SetExitCode } from '../program.ts'
import { residencyText } from '../residency-text.ts'
import { faultOf, readSigned } from '../signed-file.ts'
import { pairs } from '../table.ts'

const KIND: ResidencyReport['kind'] = 'innkeeper residency report'

export function residencyCommand(setExitCode: SetExitCode): Command {
  const residency = new Command('residency').description("where a tenant's data may be, and the proof of where it is")

  residency
    .command('set')
    .description('say what a tenant is kept to, from now on; it has to keep it already')
    .argument('<slug>')
    .option('--profile <name>', "a profile of the configuration's, or none")
    .option('--pin <region>', 'the only region that its data may be in, or any; may be given several times', collect)
    .requiredOption('--reason <text>', 'why, for the audit log')
    .action(async (slug: string, { profile, pin, reason }, command: Command) => {
      const { terminal, admin } = cliOf(command)
      if (pin !== undefined && pin.length > 1 && pin.includes('any')) {
        command.error('error: --pin any goes with no other --pin', { exitCode: EXIT.usage })
      }
      const tenant = await (await admin()).call<TenantView>('PATCH', `/tenants/${segment(slug)}/residency`, {
        body: { profile: profile === 'none' ? null : profile, pinned: pin?.[0] === 'any' ? null : pin, reason },
      })
      if (terminal.json) return terminal.data(tenant)
      const { profile: kept, pinned, region, away } = tenant
      terminal.out(pairs(terminal, { tenant: slug, profile: kept, pinned: pinned?.join(', '), region, away }))
    })

  residency
    .command('report')
    .description(
      'where every table, key, cache, backup and gateway of a tenant is and was; looks through every cluster',
    )
    .argument('<slug>')
    .option('--out <file>', 'write the signed report there, for whoever checks it')
    .action(async (slug: string, { out }, command: Command) => {
      const { terminal, admin } = cliOf(command)
      const report = await (await admin()).call<SignedReport>('GET', `/tenants/${segment(slug)}/residency`)
      if (out !== undefined) await writeFile(out, `${JSON.stringify(report, null, 2)}\n`, { mode: 0o600 })
      if (terminal.json) return terminal.data(report)
      terminal.out(residencyText(terminal, report.document))
      terminal.out(
        report.keyId === null ? '\nnot signed: control.signingKey is not configured' : `\nsigned by ${report.keyId}`,
      )
      if (out !== undefined) terminal.note(`Written to ${out}. Check it anywhere: innkeeper residency verify ${out}`)
    })

  residency
    .command('verify')
    .description('check a report offline: whether it is what was signed; then show it')
    .argument('<file>', 'as `residency report --out`, or --json, has written it')
    .option('--key <text>', 'the key that must have signed it, as `innkeeper doctor` shows it')
    .action(async (file: string, { key }, command: Command) => {
      const { terminal } = cliOf(command)
      const found = await readSigned<ResidencyReport>(
        file,
        'Write one with: innkeeper residency report SLUG --out FILE',
      )
      const fault = faultOf(found, KIND, key)
      setExitCode(fault === null ? EXIT.ok : EXIT.failed)
      if (terminal.json) return terminal.data({ valid: fault === null, fault, keyId: found?.keyId ?? null })
      if (fault !== null) return terminal.err(`${terminal.paint('red', 'not valid:')} ${fault}`)
      terminal.out(residencyText(terminal, found.document))
      terminal.out(`\n${terminal.paint('green', 'valid:')} signed by ${found.keyId}`)
      if (key === undefined) terminal.note('Compare the key with what `innkeeper doctor` shows, or name it with --key.')
    })

  return residency
}
