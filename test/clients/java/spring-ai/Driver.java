import com.openai.errors.OpenAIServiceException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.metadata.Usage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.converter.BeanOutputConverter;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatOptions;
import org.springframework.ai.tool.function.FunctionToolCallback;

public final class Driver {
  public record City(String city) {}

  static final FunctionToolCallback<City, String> tool =
      FunctionToolCallback.builder("get_weather", (Function<City, String>) city -> "sunny")
          .description("The weather")
          .inputType(City.class)
          .build();

  static OpenAiChatOptions.Builder options(String base, Told.Call call) {
    OpenAiChatOptions.Builder options =
        OpenAiChatOptions.builder().baseUrl(base).apiKey(call.key()).model(call.model()).maxRetries(0);
    if (call.usage()) options.streamUsage(true);
    if (call.what().equals("tools") || call.what().equals("streamTools")) options.toolCallbacks(List.of(tool));
    return options;
  }

  static OpenAiChatModel model(OpenAiChatOptions options) {
    return OpenAiChatModel.builder().options(options).build();
  }

  static List<Map<String, Object>> calls(AssistantMessage message) {
    return message.getToolCalls().stream()
        .map(called -> Told.called(called.id(), called.name(), called.arguments()))
        .toList();
  }

  static Map<String, Object> counts(Usage usage) {
    return usage == null || usage.getTotalTokens() == null || usage.getTotalTokens() == 0
        ? null
        : Told.counts(usage.getPromptTokens(), usage.getCompletionTokens());
  }

  static Map<String, Object> whole(String base, Told.Call call) {
    ChatResponse answer = model(options(base, call).build()).call(new Prompt(Told.QUESTION));
    AssistantMessage message = answer.getResult().getOutput();
    String finish = answer.getResult().getMetadata().getFinishReason();
    return Told.got(message.getText(), finish, counts(answer.getMetadata().getUsage()), calls(message));
  }

  static Map<String, Object> streamed(String base, Told.Call call) {
    StringBuilder text = new StringBuilder();
    String finish = null;
    Map<String, Object> usage = null;
    List<Map<String, Object>> calls = new ArrayList<>();
    for (ChatResponse part : model(options(base, call).build()).stream(new Prompt(Told.QUESTION)).toIterable()) {
      Map<String, Object> counted = counts(part.getMetadata().getUsage());
      if (counted != null) usage = counted;
      if (part.getResult() == null) continue;
      AssistantMessage message = part.getResult().getOutput();
      if (message.getText() != null) text.append(message.getText());
      calls.addAll(calls(message));
      String reason = part.getResult().getMetadata().getFinishReason();
      if (reason != null && !reason.isEmpty()) finish = reason;
    }
    return Told.got(text.toString(), finish, usage, calls);
  }

  static Map<String, Object> structured(String base, Told.Call call) {
    BeanOutputConverter<City> converter = new BeanOutputConverter<>(City.class);
    OpenAiChatOptions options = options(base, call).outputSchema(converter.getJsonSchema()).build();
    String text = model(options).call(new Prompt(Told.QUESTION)).getResult().getOutput().getText();
    return Map.of("value", Map.of("city", converter.convert(text).city()));
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
        error -> error instanceof OpenAIServiceException refused ? refused.statusCode() : null);
  }
}
