#!/usr/bin/env bash
# Thompson sampling over linear models takes one draw for all arms, so that arms which are equally well known are not explored.
#
# Versions: mabwiser 2.7.4, numpy 2.4.6 (PyPI).
# Behaviour: the policy LinTS is said to sample each arm's coefficients from their own posterior. All arms take their sample
#   with a generator of the same seed, so where arms have met the same contexts the noise is the same to the last digit, and
#   the arm with the highest mean is chosen always, as a greedy policy would: after two observations an arm that is half a
#   standard deviation behind is never tried, where independent draws from the very posteriors that the fitted model holds
#   choose it in one of five cases. Of three arms with equal records the first is always chosen (independent draws: a third
#   each).
# Seen on 2026-12-01:
#   two arms' samples are equal in 1000 of 1000 draws; the third is behind by 0.50000000 in 1000 of 1000
#   arm c is chosen in 0 of 1000; by independent draws from the same posteriors in 207 of 1000
#   three equal arms are chosen 1000, 0 and 0 times
# Needs python3 with venv, pip and its public registry. Exits 1 when it no longer holds.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv env
env/bin/pip --quiet --disable-pip-version-check install mabwiser==2.7.4 numpy==2.4.6

cat >draws.py <<'PY'
import numpy as np
from mabwiser.mab import MAB, LearningPolicy

ARMS, CONTEXT, ROUNDS = ["a", "b", "c"], [[1.0, 1.0]], 1000
CONTEXTS = np.array([[1.0, 0.0], [0.0, 1.0]] * 3)


def fitted(rewards):
    policy = MAB(arms=ARMS, learning_policy=LearningPolicy.LinTS(alpha=1.0), seed=1)
    policy.fit(decisions=["a", "a", "b", "b", "c", "c"], rewards=rewards, contexts=CONTEXTS)
    return policy


unequal = fitted([1, 0, 0, 1, 0, 0])
samples = [unequal.predict_expectations(CONTEXT) for _ in range(ROUNDS)]
same = sum(abs(s["a"] - s["b"]) < 1e-9 for s in samples)
behind = sum(abs(s["a"] - s["c"] - 0.5) < 1e-9 for s in samples)
print(f"two arms' samples are equal in {same} of {ROUNDS} draws; the third is behind by 0.50000000 in {behind} of {ROUNDS}")

chosen = sum(unequal.predict(CONTEXT) == "c" for _ in range(ROUNDS))
models, x = unequal._imp.arm_to_model, np.array(CONTEXT[0])
chance = np.random.default_rng(1)
own = np.array([chance.multivariate_normal(models[a].beta, models[a].A_inv, ROUNDS) @ x for a in ARMS])
expected = int((own.argmax(axis=0) == 2).sum())
print(f"arm c is chosen in {chosen} of {ROUNDS}; by independent draws from the same posteriors in {expected} of {ROUNDS}")

equal = fitted([1, 1, 1, 1, 1, 1])
counts = [0, 0, 0]
for _ in range(ROUNDS):
    counts[ARMS.index(equal.predict(CONTEXT))] += 1
print(f"three equal arms are chosen {counts[0]}, {counts[1]} and {counts[2]} times")
PY
env/bin/python draws.py | tee seen

diff - seen <<'SEEN'
two arms' samples are equal in 1000 of 1000 draws; the third is behind by 0.50000000 in 1000 of 1000
arm c is chosen in 0 of 1000; by independent draws from the same posteriors in 207 of 1000
three equal arms are chosen 1000, 0 and 0 times
SEEN
