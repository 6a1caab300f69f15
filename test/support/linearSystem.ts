/** The solution of a linear system, by Gauss-Jordan elimination with pivoting. */
export const solve = (
  matrix: ReadonlyArray<ReadonlyArray<number>>,
  right: ReadonlyArray<number>
): ReadonlyArray<number> => {
  const rows = matrix.map((row, i) => [...row, right[i]!])
  for (let c = 0; c < rows.length; c++) {
    let pivot = c
    for (let i = c; i < rows.length; i++) if (Math.abs(rows[i]![c]!) > Math.abs(rows[pivot]![c]!)) pivot = i
    const row = rows[pivot]!
    rows[pivot] = rows[c]!
    rows[c] = row.map((value) => value / row[c]!)
    for (let i = 0; i < rows.length; i++) {
      if (i !== c) rows[i] = rows[i]!.map((value, j) => value - rows[i]![c]! * rows[c]![j]!)
    }
  }
  return rows.map((row) => row[row.length - 1]!)
}
