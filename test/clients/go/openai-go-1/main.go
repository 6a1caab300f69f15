package main

import (
	"context"
	"errors"

	"conduit.test/told"
	"github.com/openai/openai-go"
	"github.com/openai/openai-go/option"
	"github.com/openai/openai-go/shared"
)

func client(base string, call told.Call) openai.Client {
	return openai.NewClient(option.WithBaseURL(base), option.WithAPIKey(call.Key), option.WithMaxRetries(0))
}

func params(call told.Call, withTools bool) openai.ChatCompletionNewParams {
	params := openai.ChatCompletionNewParams{
		Model:    call.Model,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(told.Question)},
	}
	if withTools {
		params.Tools = []openai.ChatCompletionToolParam{{Function: shared.FunctionDefinitionParam{
			Name: "get_weather", Parameters: told.Parameters,
		}}}
	}
	return params
}

func got(answer *openai.ChatCompletion) told.Got {
	var got told.Got
	if answer.Usage.TotalTokens > 0 {
		got.Usage = &told.Usage{Input: answer.Usage.PromptTokens, Output: answer.Usage.CompletionTokens}
	}
	if len(answer.Choices) == 0 {
		return got
	}
	got.Text = answer.Choices[0].Message.Content
	got.Finish = answer.Choices[0].FinishReason
	for _, called := range answer.Choices[0].Message.ToolCalls {
		got.Calls = append(got.Calls, told.Called{ID: called.ID, Name: called.Function.Name, Arguments: told.JSON(called.Function.Arguments)})
	}
	return got
}

func whole(params func(told.Call) openai.ChatCompletionNewParams) func(string, told.Call) (told.Got, error) {
	return func(base string, call told.Call) (told.Got, error) {
		c := client(base, call)
		answer, err := c.Chat.Completions.New(context.Background(), params(call))
		if err != nil {
			return told.Got{}, err
		}
		return got(answer), nil
	}
}

// streamed gathers the chunks by the library's accumulator.
func streamed(withTools bool) func(string, told.Call) (told.Got, error) {
	return func(base string, call told.Call) (told.Got, error) {
		c := client(base, call)
		params := params(call, withTools)
		if call.Usage {
			params.StreamOptions.IncludeUsage = openai.Bool(true)
		}
		stream := c.Chat.Completions.NewStreaming(context.Background(), params)
		var all openai.ChatCompletionAccumulator
		for stream.Next() {
			if !all.AddChunk(stream.Current()) {
				return told.Got{}, errors.New("the accumulator refuses a chunk")
			}
		}
		return got(&all.ChatCompletion), stream.Err()
	}
}

func structured(base string, call told.Call) (told.Got, error) {
	answer, err := whole(func(call told.Call) openai.ChatCompletionNewParams {
		params := params(call, false)
		params.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{
			JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: "city", Strict: openai.Bool(true), Schema: told.Schema},
		}
		return params
	})(base, call)
	answer.Value = told.JSON(answer.Text)
	return answer, err
}

func main() {
	plain := func(call told.Call) openai.ChatCompletionNewParams { return params(call, false) }
	tools := func(call told.Call) openai.ChatCompletionNewParams { return params(call, true) }
	told.Run(map[string]func(string, told.Call) (told.Got, error){
		"text":        whole(plain),
		"stream":      streamed(false),
		"tools":       whole(tools),
		"streamTools": streamed(true),
		"structured":  structured,
	}, func(err error) (int, string) {
		var refused *openai.Error
		if errors.As(err, &refused) {
			return refused.StatusCode, ""
		}
		return 0, ""
	})
}
