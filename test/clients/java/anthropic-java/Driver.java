import com.anthropic.client.AnthropicClient;
import com.anthropic.client.okhttp.AnthropicOkHttpClient;
import com.anthropic.core.JsonValue;
import com.anthropic.core.http.StreamResponse;
import com.anthropic.errors.AnthropicServiceException;
import com.anthropic.helpers.MessageAccumulator;
import com.anthropic.models.messages.Message;
import com.anthropic.models.messages.MessageCreateParams;
import com.anthropic.models.messages.RawMessageStreamEvent;
import com.anthropic.models.messages.Tool;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

public final class Driver {
  static AnthropicClient client(String base, Told.Call call) {
    return AnthropicOkHttpClient.builder()
        .baseUrl(base.replaceAll("/v1$", ""))
        .apiKey(call.key())
        .maxRetries(0)
        .build();
  }

  static MessageCreateParams.Builder params(Told.Call call) {
    return MessageCreateParams.builder().model(call.model()).maxTokens(1000).addUserMessage(Told.QUESTION);
  }

  static MessageCreateParams.Builder withTools(Told.Call call) {
    Tool.InputSchema schema =
        Tool.InputSchema.builder()
            .properties(JsonValue.from(Told.PROPERTIES))
            .required(List.of("city"))
            .build();
    return params(call).addTool(Tool.builder().name("get_weather").inputSchema(schema).build());
  }

  static Map<String, Object> got(Message message) {
    String text =
        message.content().stream()
            .flatMap(block -> block.text().stream())
            .map(block -> block.text())
            .collect(Collectors.joining());
    List<Map<String, Object>> calls =
        message.content().stream()
            .flatMap(block -> block.toolUse().stream())
            .map(called -> Told.called(called.id(), called.name(), called._input().convert(Map.class)))
            .toList();
    return Told.got(
        text,
        message.stopReason().map(reason -> reason.asString()).orElse(null),
        Told.counts(message.usage().inputTokens(), message.usage().outputTokens()),
        calls);
  }

  static Map<String, Object> whole(String base, Told.Call call, MessageCreateParams.Builder params) {
    return got(client(base, call).messages().create(params.build()));
  }

  /** By the library's accumulator. */
  static Map<String, Object> streamed(String base, Told.Call call, MessageCreateParams.Builder params) {
    MessageAccumulator all = MessageAccumulator.create();
    try (StreamResponse<RawMessageStreamEvent> stream =
        client(base, call).messages().createStreaming(params.build())) {
      stream.stream().forEach(all::accumulate);
    }
    return got(all.message());
  }

  static Map<String, Object> structured(String base, Told.Call call) {
    Map<String, Object> schema =
        Map.of(
            "type", "object",
            "properties", Told.PROPERTIES,
            "required", List.of("city"),
            "additionalProperties", false);
    Map<String, Object> format = Map.of("format", Map.of("type", "json_schema", "schema", schema));
    Map<String, Object> answer =
        whole(base, call, params(call).putAdditionalBodyProperty("output_config", JsonValue.from(format)));
    return Map.of("value", Told.parsed((String) answer.get("text")));
  }

  public static void main(String[] args) throws Exception {
    Told.run(
        args,
        Map.of(
            "text", (base, call) -> whole(base, call, params(call)),
            "stream", (base, call) -> streamed(base, call, params(call)),
            "tools", (base, call) -> whole(base, call, withTools(call)),
            "streamTools", (base, call) -> streamed(base, call, withTools(call)),
            "structured", Driver::structured),
        error -> error instanceof AnthropicServiceException refused ? refused.statusCode() : null);
  }
}
