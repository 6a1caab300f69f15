//! Reads a call a line, and writes what came of it, a line each: `driver BASE_URL < calls > results`.

use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::types::chat::{
    ChatCompletionMessageToolCalls, CreateChatCompletionRequest, FinishReason,
};
use async_openai::Client;
use futures::StreamExt;
use serde_json::{json, Value};
use std::io::BufRead;

const QUESTION: &str = "What is the weather in Paris? Use the tool.";

fn parameters() -> Value {
    json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false})
}

fn request(call: &Value) -> CreateChatCompletionRequest {
    let mut body = json!({"model": call["model"], "messages": [{"role": "user", "content": QUESTION}]});
    match call["do"].as_str().unwrap() {
        "tools" | "streamTools" => {
            body["tools"] = json!([{"type": "function", "function": {"name": "get_weather", "parameters": parameters()}}])
        }
        "structured" => {
            body["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "city", "strict": true, "schema": parameters()}})
        }
        _ => {}
    }
    if call["usage"] == true {
        body["stream_options"] = json!({"include_usage": true});
    }
    serde_json::from_value(body).unwrap()
}

fn word(reason: Option<FinishReason>) -> Value {
    serde_json::to_value(reason).unwrap()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

async fn whole(client: &Client<OpenAIConfig>, call: &Value) -> Result<Value, OpenAIError> {
    let answer = client.chat().create(request(call)).await?;
    let choice = answer.choices.into_iter().next().unwrap();
    let calls: Vec<Value> = choice
        .message
        .tool_calls
        .unwrap_or_default()
        .into_iter()
        .filter_map(|called| match called {
            ChatCompletionMessageToolCalls::Function(called) => Some(
                json!({"id": called.id, "name": called.function.name, "arguments": parsed(&called.function.arguments)}),
            ),
            ChatCompletionMessageToolCalls::Custom(_) => None,
        })
        .collect();
    let text = choice.message.content;
    let value = text.as_deref().map(parsed);
    Ok(json!({
        "text": text,
        "value": value,
        "finish": word(choice.finish_reason),
        "usage": answer.usage.map(|usage| json!({"input": usage.prompt_tokens, "output": usage.completion_tokens})),
        "calls": calls,
    }))
}

#[derive(Default)]
struct Gathered {
    id: String,
    name: String,
    arguments: String,
}

async fn streamed(client: &Client<OpenAIConfig>, call: &Value) -> Result<Value, OpenAIError> {
    let mut stream = client.chat().create_stream(request(call)).await?;
    let (mut text, mut finish, mut usage) = (String::new(), None, Value::Null);
    let mut calls: Vec<Gathered> = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        if let Some(counts) = chunk.usage {
            usage = json!({"input": counts.prompt_tokens, "output": counts.completion_tokens});
        }
        for choice in chunk.choices {
            text += choice.delta.content.as_deref().unwrap_or_default();
            finish = choice.finish_reason.or(finish);
            for part in choice.delta.tool_calls.unwrap_or_default() {
                let index = part.index as usize;
                if calls.len() <= index {
                    calls.resize_with(index + 1, Gathered::default);
                }
                calls[index].id += part.id.as_deref().unwrap_or_default();
                if let Some(function) = part.function {
                    calls[index].name += function.name.as_deref().unwrap_or_default();
                    calls[index].arguments += function.arguments.as_deref().unwrap_or_default();
                }
            }
        }
    }
    let calls: Vec<Value> = calls
        .iter()
        .map(|called| json!({"id": called.id, "name": called.name, "arguments": parsed(&called.arguments)}))
        .collect();
    Ok(json!({"text": text, "finish": word(finish), "usage": usage, "calls": calls}))
}

fn described(error: OpenAIError) -> Value {
    let (class, status) = match &error {
        OpenAIError::ApiError(answer) => ("ApiError", Some(answer.status_code.as_u16())),
        OpenAIError::StreamError(_) => ("StreamError", None),
        OpenAIError::JSONDeserialize(..) => ("JSONDeserialize", None),
        _ => ("OpenAIError", None),
    };
    json!({"error": {"class": class, "status": status, "message": error.to_string()}})
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let base = std::env::args().nth(1).unwrap();
    for line in std::io::stdin().lock().lines() {
        let call: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let config = OpenAIConfig::new().with_api_base(&base).with_api_key(call["key"].as_str().unwrap());
        let client = Client::with_config(config);
        let result = match call["do"].as_str().unwrap() {
            "stream" | "streamTools" => streamed(&client, &call).await,
            _ => whole(&client, &call).await,
        };
        let mut got = result.unwrap_or_else(described);
        got["case"] = call["case"].clone();
        println!("{got}");
    }
}
