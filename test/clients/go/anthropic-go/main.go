package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"conduit.test/told"
	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
)

func client(base string, call told.Call) anthropic.Client {
	return anthropic.NewClient(
		option.WithBaseURL(strings.TrimSuffix(base, "/v1")), option.WithAPIKey(call.Key), option.WithMaxRetries(0),
	)
}

func params(call told.Call, withTools bool) anthropic.MessageNewParams {
	params := anthropic.MessageNewParams{
		Model:     anthropic.Model(call.Model),
		MaxTokens: 1000,
		Messages:  []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(told.Question))},
	}
	if withTools {
		params.Tools = []anthropic.ToolUnionParam{{OfTool: &anthropic.ToolParam{
			Name: "get_weather",
			InputSchema: anthropic.ToolInputSchemaParam{
				Properties: told.Parameters["properties"], Required: []string{"city"},
			},
		}}}
	}
	return params
}

func got(message *anthropic.Message) told.Got {
	got := told.Got{
		Finish: string(message.StopReason),
		Usage:  &told.Usage{Input: message.Usage.InputTokens, Output: message.Usage.OutputTokens},
	}
	for _, block := range message.Content {
		switch block.Type {
		case "text":
			got.Text += block.Text
		case "tool_use":
			var input any
			if json.Unmarshal(block.Input, &input) == nil {
				got.Calls = append(got.Calls, told.Called{ID: block.ID, Name: block.Name, Arguments: input})
			}
		}
	}
	return got
}

func whole(withTools bool, more ...option.RequestOption) func(string, told.Call) (told.Got, error) {
	return func(base string, call told.Call) (told.Got, error) {
		c := client(base, call)
		message, err := c.Messages.New(context.Background(), params(call, withTools), more...)
		if err != nil {
			return told.Got{}, err
		}
		return got(message), nil
	}
}

// streamed gathers the events by the library's accumulator.
func streamed(withTools bool) func(string, told.Call) (told.Got, error) {
	return func(base string, call told.Call) (told.Got, error) {
		c := client(base, call)
		stream := c.Messages.NewStreaming(context.Background(), params(call, withTools))
		var message anthropic.Message
		for stream.Next() {
			if err := message.Accumulate(stream.Current()); err != nil {
				return told.Got{}, err
			}
		}
		if err := stream.Err(); err != nil {
			return told.Got{}, err
		}
		if message.StopReason == "" {
			return told.Got{}, errors.New("the stream ended before its stop reason")
		}
		return got(&message), nil
	}
}

func structured(base string, call told.Call) (told.Got, error) {
	format := map[string]any{"type": "json_schema", "schema": told.Schema}
	answer, err := whole(false, option.WithJSONSet("output_config.format", format))(base, call)
	answer.Value = told.JSON(answer.Text)
	return answer, err
}

func main() {
	told.Run(map[string]func(string, told.Call) (told.Got, error){
		"text":        whole(false),
		"stream":      streamed(false),
		"tools":       whole(true),
		"streamTools": streamed(true),
		"structured":  structured,
	}, func(err error) (int, string) {
		var refused *anthropic.Error
		if errors.As(err, &refused) {
			return refused.StatusCode, refused.RawJSON()
		}
		return 0, ""
	})
}
