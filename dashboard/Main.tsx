import { render } from "preact"
import { needsKey } from "./Api.ts"
import { Budgets } from "./Budgets.tsx"
import { Calibration } from "./Calibration.tsx"
import { followChanges } from "./ChangeMarks.ts"
import { Decisions } from "./Decisions.tsx"
import { Empty } from "./Empty.tsx"
import { Explanation } from "./Explanation.tsx"
import { failure, follow } from "./Figures.ts"
import { Header } from "./Header.tsx"
import { KeyForm } from "./KeyForm.tsx"
import { Latency } from "./Latency.tsx"
import { decisions, listen } from "./Live.ts"
import { Models } from "./Models.tsx"
import { Money } from "./Money.tsx"
import { Quality, Share } from "./OverTime.tsx"
import { Tasks } from "./Tasks.tsx"
import { Tiles } from "./Tiles.tsx"
import { TryIt } from "./TryIt.tsx"

const Page = () => {
  if (needsKey.value) return <KeyForm />
  const isEmpty = decisions.value !== null && decisions.value.length === 0
  return (
    <>
      {failure.value === null ? null : (
        <p class="error wide" role="alert">
          {failure.value}
        </p>
      )}
      {decisions.value === null ? <p class="nothing wide">Loading …</p> : null}
      {isEmpty ? <Empty /> : null}
      {decisions.value === null || isEmpty ? null : (
        <>
          <Tiles />
          <Tasks />
          <Share />
          <Quality />
          <Money />
          <Latency />
          <Calibration />
          <Decisions />
        </>
      )}
      {decisions.value === null ? null : (
        <>
          <Budgets />
          <Models />
          <TryIt />
        </>
      )}
      <Explanation />
    </>
  )
}

const App = () => (
  <>
    <Header />
    <main>
      <Page />
    </main>
  </>
)

const place = document.getElementById("app")
if (place !== null) render(<App />, place)
void listen()
follow()
followChanges()
