import type { BudgetList } from "../src/services/api/BudgetSchemas.ts"
import { budgets } from "./Figures.ts"
import { moment, percent, usd } from "./Format.ts"
import { may } from "./Live.ts"
import { Nothing, Panel, Tag } from "./Parts.tsx"

type Budget = BudgetList["data"][number]
type Period = NonNullable<Budget["day"]>

/** What is spent and put aside of a limit. */
const Used = ({ name, of, reserved }: { readonly name: string; readonly of: Period; readonly reserved: number }) => {
  const part = (value: number) => 100 * Math.min(1, Math.max(0, value / of.limit_usd))
  const tone = of.left_usd === 0 ? "bad" : of.spent_usd >= 0.8 * of.limit_usd ? "warn" : null
  return (
    <li>
      <span class="what">
        {name} {tone === null ? null : <Tag tone={tone}>{tone === "bad" ? "used up" : "nearly used up"}</Tag>}
      </span>
      <span class="amount">
        {usd(of.spent_usd)} of {usd(of.limit_usd)}
      </span>
      <span class="bar" aria-hidden="true">
        <i class="pale" style={{ width: `${part(of.spent_usd + reserved)}%`, background: "var(--accent)" }} />
        <i style={{ width: `${part(of.spent_usd)}%`, background: "var(--accent)" }} />
      </span>
      <span class="soft">
        {percent(of.spent_usd / of.limit_usd)} spent, {usd(reserved)} put aside, {usd(of.left_usd)} left; begins anew{" "}
        {moment(of.resets_at)}
      </span>
    </li>
  )
}

const Pacing = ({ of: { paced, pacing } }: { readonly of: Budget }) => {
  if (!paced) return null
  if (pacing === null) return <p class="note">Spread over its time; no choice was charged for it yet.</p>
  return (
    <p class="note">
      Spread over its time: {usd(pacing.usd_per_request)} a request.{" "}
      {pacing.score_per_request === 0 ? (
        "No more is spent than that, so dear answers lose nothing."
      ) : (
        <>
          More is spent than that, so an answer of that price loses <b>{pacing.score_per_request.toFixed(2)}</b> of its
          score, and a dearer one more.
        </>
      )}
    </p>
  )
}

/** What is left of the budgets that the key may see. */
export const Budgets = () => {
  const found = budgets.value
  return (
    <Panel
      id="budgets"
      wide
      title="Budgets"
      about="What is spent of a day’s or a month’s limit (UTC). The paler end is put aside for requests under way and for the next ones."
    >
      {found === null ? (
        <Nothing>Not known yet.</Nothing>
      ) : found.length === 0 ? (
        <Nothing>
          No limit is set. <code>CONDUIT_BUDGET_USD_PER_DAY</code> limits all requests together, and{" "}
          <code>conduit keys create NAME --usd-per-day 5</code> those of one key.
        </Nothing>
      ) : (
        <div class="columns">
          {found.map((one) => (
            <section key={`${one.subject} ${one.name}`} data-budget={one.name} aria-label={`Budget of ${one.name}`}>
              <h3>{one.subject === "router" ? `All requests of ${one.name}` : `Key ${one.name}`}</h3>
              <ul class="bars">
                {one.day === null ? null : <Used name="Today" of={one.day} reserved={one.reserved_usd} />}
                {one.month === null ? null : <Used name="This month" of={one.month} reserved={one.reserved_usd} />}
              </ul>
              <Pacing of={one} />
            </section>
          ))}
        </div>
      )}
      {may("read:all") ? null : (
        <p class="note">
          Only this key’s budget: those of other keys and of the router need a key with the scope <code>read:all</code>.
        </p>
      )}
    </Panel>
  )
}
