/** The tables that have rows of a router, by its key. */
export const tablesOfRouters = [
  "learning_log",
  "decisions",
  "feedback",
  "bandit_snapshots",
  "prompts",
  "decision_changes",
  "decision_sums",
  "failure_sums",
  "summing",
  "cost_references",
  "budget_spent"
]

/** The tables that the service writes; a test compares them with what the migrations make. */
export const serviceTables = [
  "routers",
  ...tablesOfRouters,
  "api_keys",
  "api_key_secrets",
  "api_key_revision",
  "audit_log",
  "budget_loans"
]

/** Without one of these, statements are slow, or fail. */
export const serviceIndexes = (
  "routers_pkey routers_id_key routers_remembered learning_log_pkey learning_log_router_key_position_key " +
  "decisions_pkey decisions_session decisions_not_ok decisions_refused decisions_unusual decisions_facets " +
  "feedback_pkey feedback_router_key_idempotency_key_key feedback_decision feedback_parked " +
  "bandit_snapshots_pkey prompts_pkey " +
  "decision_changes_pkey decision_sums_pkey decision_sums_time failure_sums_pkey summing_pkey cost_references_pkey " +
  "api_keys_pkey api_key_secrets_pkey api_key_secrets_name api_key_revision_pkey audit_log_pkey " +
  "budget_spent_pkey budget_spent_owner budget_loans_pkey"
).split(" ")
