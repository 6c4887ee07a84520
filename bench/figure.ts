/** One line of the table of `npm run bench`. */
export interface Figure {
  name: string
  value: number
  unit: string
  /** How many times as fast as `against`, measured in the same run. */
  ratio?: number
  against?: string
}
