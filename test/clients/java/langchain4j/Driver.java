import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.HttpException;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ResponseFormat;
import dev.langchain4j.model.chat.request.ResponseFormatType;
import dev.langchain4j.model.chat.request.json.JsonObjectSchema;
import dev.langchain4j.model.chat.request.json.JsonSchema;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import dev.langchain4j.model.output.TokenUsage;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;

public final class Driver {
  static final JsonObjectSchema schema =
      JsonObjectSchema.builder().addStringProperty("city").required("city").additionalProperties(false).build();
  static final ToolSpecification tool =
      ToolSpecification.builder().name("get_weather").description("The weather").parameters(schema).build();

  static ChatRequest.Builder request(Told.Call call) {
    ChatRequest.Builder request = ChatRequest.builder().messages(UserMessage.from(Told.QUESTION));
    if (call.what().equals("tools") || call.what().equals("streamTools")) request.toolSpecifications(tool);
    return request;
  }

  static Map<String, Object> got(ChatResponse answer) {
    TokenUsage usage = answer.tokenUsage();
    List<Map<String, Object>> calls =
        answer.aiMessage().toolExecutionRequests().stream()
            .map(called -> Told.called(called.id(), called.name(), called.arguments()))
            .toList();
    return Told.got(
        answer.aiMessage().text(),
        answer.finishReason(),
        usage == null ? null : Told.counts(usage.inputTokenCount(), usage.outputTokenCount()),
        calls);
  }

  static ChatResponse answer(String base, Told.Call call, ChatRequest request) {
    return OpenAiChatModel.builder()
        .baseUrl(base)
        .apiKey(call.key())
        .modelName(call.model())
        .maxRetries(0)
        .strictJsonSchema(true)
        .timeout(Duration.ofMinutes(2))
        .build()
        .chat(request);
  }

  static Map<String, Object> whole(String base, Told.Call call) {
    return got(answer(base, call, request(call).build()));
  }

  static Map<String, Object> streamed(String base, Told.Call call) throws Throwable {
    CompletableFuture<ChatResponse> all = new CompletableFuture<>();
    OpenAiStreamingChatModel.builder()
        .baseUrl(base)
        .apiKey(call.key())
        .modelName(call.model())
        .timeout(Duration.ofMinutes(2))
        .build()
        .chat(
            request(call).build(),
            new StreamingChatResponseHandler() {
              @Override
              public void onCompleteResponse(ChatResponse answer) {
                all.complete(answer);
              }

              @Override
              public void onError(Throwable error) {
                all.completeExceptionally(error);
              }
            });
    try {
      return got(all.get());
    } catch (ExecutionException error) {
      throw error.getCause();
    }
  }

  static Map<String, Object> structured(String base, Told.Call call) {
    ResponseFormat format =
        ResponseFormat.builder()
            .type(ResponseFormatType.JSON)
            .jsonSchema(JsonSchema.builder().name("city").rootElement(schema).build())
            .build();
    String text = answer(base, call, request(call).responseFormat(format).build()).aiMessage().text();
    return Map.of("value", Told.parsed(text));
  }

  public static void main(String[] args) throws Exception {
    Told.run(
        args,
        Map.of(
            "text", Driver::whole,
            "stream", Driver::streamed,
            "tools", Driver::whole,
            "streamTools", Driver::streamed,
            "structured", Driver::structured),
        error -> error instanceof HttpException refused ? refused.statusCode() : null);
  }
}
