import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.JsonValue;
import com.openai.core.http.StreamResponse;
import com.openai.errors.OpenAIServiceException;
import com.openai.helpers.ChatCompletionAccumulator;
import com.openai.models.FunctionDefinition;
import com.openai.models.FunctionParameters;
import com.openai.models.chat.completions.ChatCompletion;
import com.openai.models.chat.completions.ChatCompletionChunk;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionStreamOptions;
import com.openai.models.chat.completions.StructuredChatCompletionCreateParams;
import java.util.List;
import java.util.Map;

public final class Driver {
  static OpenAIClient client(String base, Told.Call call) {
    return OpenAIOkHttpClient.builder().baseUrl(base).apiKey(call.key()).maxRetries(0).build();
  }

  static ChatCompletionCreateParams.Builder params(Told.Call call) {
    return ChatCompletionCreateParams.builder().model(call.model()).addUserMessage(Told.QUESTION);
  }

  static ChatCompletionCreateParams.Builder withTools(Told.Call call) {
    FunctionParameters parameters =
        FunctionParameters.builder()
            .putAdditionalProperty("type", JsonValue.from("object"))
            .putAdditionalProperty("properties", JsonValue.from(Told.PROPERTIES))
            .putAdditionalProperty("required", JsonValue.from(List.of("city")))
            .build();
    return params(call)
        .addFunctionTool(FunctionDefinition.builder().name("get_weather").parameters(parameters).build());
  }

  static Map<String, Object> got(ChatCompletion answer) {
    ChatCompletion.Choice choice = answer.choices().get(0);
    List<Map<String, Object>> calls =
        choice.message().toolCalls().orElse(List.of()).stream()
            .map(called -> called.asFunction())
            .map(called -> Told.called(called.id(), called.function().name(), called.function().arguments()))
            .toList();
    return Told.got(
        choice.message().content().orElse(null),
        choice.finishReason().asString(),
        answer.usage().map(usage -> Told.counts(usage.promptTokens(), usage.completionTokens())).orElse(null),
        calls);
  }

  static Map<String, Object> whole(String base, Told.Call call, ChatCompletionCreateParams params) {
    return got(client(base, call).chat().completions().create(params));
  }

  /** By the library's accumulator. */
  static Map<String, Object> streamed(String base, Told.Call call, ChatCompletionCreateParams.Builder params) {
    if (call.usage()) params.streamOptions(ChatCompletionStreamOptions.builder().includeUsage(true).build());
    ChatCompletionAccumulator all = ChatCompletionAccumulator.create();
    try (StreamResponse<ChatCompletionChunk> stream =
        client(base, call).chat().completions().createStreaming(params.build())) {
      stream.stream().forEach(all::accumulate);
    }
    return got(all.chatCompletion());
  }

  public static final class City {
    public String city;
  }

  static Map<String, Object> structured(String base, Told.Call call) {
    StructuredChatCompletionCreateParams<City> params = params(call).responseFormat(City.class).build();
    City value =
        client(base, call).chat().completions().create(params).choices().get(0).message().content().orElseThrow();
    return Map.of("value", Map.of("city", value.city));
  }

  public static void main(String[] args) throws Exception {
    Told.run(
        args,
        Map.of(
            "text", (base, call) -> whole(base, call, params(call).build()),
            "stream", (base, call) -> streamed(base, call, params(call)),
            "tools", (base, call) -> whole(base, call, withTools(call).build()),
            "streamTools", (base, call) -> streamed(base, call, withTools(call)),
            "structured", Driver::structured),
        error -> error instanceof OpenAIServiceException refused ? refused.statusCode() : null);
  }
}
