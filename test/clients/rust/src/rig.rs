//! At its default, which is Responses. Reads a call a line, and writes what came of it, a line each:
//! `driver BASE_URL < calls > results`.

use rig_core::completion::{CompletionRequest, CompletionResponse, ToolDefinition};
use rig_core::error::ProviderError;
use rig_core::providers::openai::OpenAIConfig;
use serde_json::{json, Value};
use std::io::BufRead;

const QUESTION: &str = "What is the weather in Paris? Use the tool.";

fn parameters() -> Value {
    json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false})
}

fn request(call: &Value) -> CompletionRequest {
    let request = CompletionRequest::new(QUESTION);
    match call["do"].as_str().unwrap() {
        "tools" | "streamTools" => request.tool(ToolDefinition {
            name: "get_weather".try_into().unwrap(),
            description: "The weather".into(),
            parameters: parameters(),
        }),
        "structured" => {
            let mut schema = parameters();
            schema["title"] = json!("city");
            request.output_schema(schemars::Schema::try_from(schema).unwrap())
        }
        _ => request,
    }
}

fn got(answer: CompletionResponse) -> Value {
    let calls: Vec<Value> = answer
        .tool_calls()
        .map(|called| json!({"id": called.id, "name": called.function.name, "arguments": called.function.arguments}))
        .collect();
    let text = answer.text();
    let finish = answer.finish_reason().map(|reason| format!("{reason:?}").to_lowercase());
    json!({
        "value": serde_json::from_str::<Value>(&text).unwrap_or(Value::Null),
        "text": text,
        "finish": finish,
        "usage": {"input": answer.usage.input_tokens, "output": answer.usage.output_tokens},
        "calls": calls,
    })
}

async fn asked(base: &str, call: &Value) -> Result<Value, ProviderError> {
    let mut config = OpenAIConfig::new(call["key"].as_str().unwrap());
    config.base_url = base.into();
    let model = config.client().completion(call["model"].as_str().unwrap());
    let answer = match call["do"].as_str().unwrap() {
        "stream" | "streamTools" => model.stream(request(call))?.finish().await?,
        _ => model.call(request(call)).await?,
    };
    Ok(got(answer))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let base = std::env::args().nth(1).unwrap();
    for line in std::io::stdin().lock().lines() {
        let call: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let mut got = asked(&base, &call)
            .await
            .unwrap_or_else(|error| json!({"error": {"class": "ProviderError", "status": null, "message": error.to_string()}}));
        got["case"] = call["case"].clone();
        println!("{got}");
    }
}
