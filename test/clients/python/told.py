"""What the drivers share: they read a call a line, and write what came of it, a line each.

driver.py BASE_URL < calls > results
"""

import json
import sys
import traceback

QUESTION = "What is the weather in Paris? Use the tool."
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "The weather", "parameters": PARAMETERS}}
MESSAGES = [{"role": "user", "content": QUESTION}]
SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "city", "strict": True, "schema": {**PARAMETERS, "additionalProperties": False}},
}


def arguments(given):
    return json.loads(given) if isinstance(given, str) else given


def described(error):
    """The error as the client raises it; a status where it has one."""
    status = getattr(error, "status_code", None)
    shown = {"class": type(error).__name__, "status": status if isinstance(status, int) else None, "message": str(error)}
    print("".join(traceback.format_exception(error)[-1:]), file=sys.stderr)
    return {"error": shown}


def run(operations):
    for line in sys.stdin:
        told = json.loads(line)
        try:
            got = operations[told["do"]](sys.argv[1], told)
        except Exception as error:
            got = described(error)
        print(json.dumps({"case": told["case"], **got}), flush=True)
