import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What the drivers share: they read a call a line, and write what came of it, a line each. */
final class Told {
  static final String QUESTION = "What is the weather in Paris? Use the tool.";
  static final Map<String, Object> PROPERTIES = Map.of("city", Map.of("type", "string"));
  private static final ObjectMapper json = new ObjectMapper();

  record Call(String name, String what, String model, String key, boolean usage) {}

  interface Operation {
    Map<String, Object> run(String base, Call call) throws Throwable;
  }

  /** What an error shows: its status, or null, and its words. */
  interface Shown {
    Integer status(Throwable error);
  }

  static Object parsed(String text) {
    try {
      return json.readValue(text, Object.class);
    } catch (Exception e) {
      return text;
    }
  }

  static Map<String, Object> called(String id, String name, Object arguments) {
    Map<String, Object> call = new LinkedHashMap<>();
    call.put("id", id);
    call.put("name", name);
    call.put("arguments", arguments instanceof String text ? parsed(text) : arguments);
    return call;
  }

  static Map<String, Object> counts(Number input, Number output) {
    Map<String, Object> counts = new LinkedHashMap<>();
    counts.put("input", input);
    counts.put("output", output);
    return counts;
  }

  static Map<String, Object> got(String text, Object finish, Map<String, Object> usage, List<?> calls) {
    Map<String, Object> got = new LinkedHashMap<>();
    got.put("text", text);
    got.put("finish", finish == null ? null : finish.toString());
    got.put("usage", usage);
    got.put("calls", calls);
    return got;
  }

  /** The causes too: what a framework throws often has the words there. */
  private static Map<String, Object> described(Throwable error, Shown shown) {
    StringBuilder words = new StringBuilder();
    Integer status = null;
    for (Throwable at = error; at != null; at = at.getCause()) {
      words.append(words.isEmpty() ? "" : ": ").append(at.getMessage());
      if (status == null) status = shown.status(at);
    }
    Map<String, Object> told = new LinkedHashMap<>();
    told.put("class", error.getClass().getSimpleName());
    told.put("status", status);
    told.put("message", words.toString());
    Map<String, Object> got = new LinkedHashMap<>();
    got.put("error", told);
    return got;
  }

  @SuppressWarnings("unchecked")
  static void run(String[] args, Map<String, Operation> operations, Shown shown) throws Exception {
    PrintStream out = System.out;
    System.setOut(System.err);
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      Map<String, Object> told = json.readValue(line, Map.class);
      Call call =
          new Call(
              (String) told.get("case"),
              (String) told.get("do"),
              (String) told.get("model"),
              (String) told.get("key"),
              (Boolean) told.get("usage"));
      Map<String, Object> got;
      try {
        got = operations.get(call.what()).run(args[0], call);
      } catch (Throwable error) {
        got = described(error, shown);
      }
      got = new LinkedHashMap<>(got);
      got.put("case", call.name());
      out.println(json.writeValueAsString(got));
      out.flush();
    }
    System.exit(0);
  }
}
