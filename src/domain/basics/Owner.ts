/** Whose a row is: the name of a key; of a key without a name the first 16 hex digits of its SHA-256; null without keys. */
export type Owner = string | null

/** Who asks for rows, or writes about them. */
export interface Asker {
  readonly owner: Owner
  /** Under which its rows were written before its key had this name. */
  readonly formerOwners?: ReadonlyArray<string>
}

/** Who asks for rows to read. */
export interface Reader extends Asker {
  /** All rows are read, whoever owns them. */
  readonly readsAll?: boolean
}

/** Only what an asker is, of something that is more. */
export const askerOf = ({ formerOwners, owner }: Asker): Asker =>
  formerOwners === undefined ? { owner } : { owner, formerOwners }

/** Only what a reader is, of something that is more. */
export const readerOf = (reader: Reader): Reader =>
  reader.readsAll === true ? { ...askerOf(reader), readsAll: true } : askerOf(reader)

export const owns = ({ formerOwners, owner }: Asker, rows: Owner): boolean =>
  rows === owner || (rows !== null && formerOwners?.includes(rows) === true)

export const reads = (reader: Reader, rows: Owner): boolean => reader.readsAll === true || owns(reader, rows)
