package main

import (
	"context"
	"errors"

	"conduit.test/told"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
)

func client(base string, call told.Call) openai.Client {
	return openai.NewClient(option.WithBaseURL(base), option.WithAPIKey(call.Key), option.WithMaxRetries(0))
}

func params(call told.Call, withTools bool) responses.ResponseNewParams {
	params := responses.ResponseNewParams{
		Model: call.Model,
		Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(told.Question)},
		Store: openai.Bool(false),
	}
	if withTools {
		params.Tools = []responses.ToolUnionParam{{OfFunction: &responses.FunctionToolParam{
			Name: "get_weather", Parameters: told.Parameters, Strict: openai.Bool(false),
		}}}
	}
	return params
}

func got(answer *responses.Response) told.Got {
	got := told.Got{Text: answer.OutputText(), Finish: string(answer.Status)}
	if answer.Status == "completed" {
		got.Finish = "stop"
	}
	if answer.Usage.TotalTokens > 0 {
		got.Usage = &told.Usage{Input: answer.Usage.InputTokens, Output: answer.Usage.OutputTokens}
	}
	for _, item := range answer.Output {
		if item.Type == "function_call" {
			called := item.AsFunctionCall()
			got.Calls = append(got.Calls, told.Called{ID: called.CallID, Name: called.Name, Arguments: told.JSON(called.Arguments)})
		}
	}
	return got
}

func whole(params func(told.Call) responses.ResponseNewParams) func(string, told.Call) (told.Got, error) {
	return func(base string, call told.Call) (told.Got, error) {
		c := client(base, call)
		answer, err := c.Responses.New(context.Background(), params(call))
		if err != nil {
			return told.Got{}, err
		}
		return got(answer), nil
	}
}

// streamed takes the text from the deltas, and the rest from the last event.
func streamed(withTools bool) func(string, told.Call) (told.Got, error) {
	return func(base string, call told.Call) (told.Got, error) {
		c := client(base, call)
		stream := c.Responses.NewStreaming(context.Background(), params(call, withTools))
		var text string
		var all told.Got
		isWhole := false
		for stream.Next() {
			event := stream.Current()
			switch event.Type {
			case "response.output_text.delta":
				text += event.Delta
			case "response.completed", "response.incomplete":
				all = got(&event.Response)
				isWhole = true
			case "response.failed":
				return told.Got{}, errors.New(event.Response.Error.Message)
			}
		}
		if err := stream.Err(); err != nil {
			return told.Got{}, err
		}
		if !isWhole {
			return told.Got{}, errors.New("the stream ended before its last event")
		}
		all.Text = text
		return all, nil
	}
}

func structured(base string, call told.Call) (told.Got, error) {
	answer, err := whole(func(call told.Call) responses.ResponseNewParams {
		params := params(call, false)
		params.Text = responses.ResponseTextConfigParam{Format: responses.ResponseFormatTextConfigUnionParam{
			OfJSONSchema: &responses.ResponseFormatTextJSONSchemaConfigParam{
				Name: "city", Strict: openai.Bool(true), Schema: told.Schema,
			},
		}}
		return params
	})(base, call)
	answer.Value = told.JSON(answer.Text)
	return answer, err
}

func main() {
	plain := func(call told.Call) responses.ResponseNewParams { return params(call, false) }
	tools := func(call told.Call) responses.ResponseNewParams { return params(call, true) }
	told.Run(map[string]func(string, told.Call) (told.Got, error){
		"text":        whole(plain),
		"stream":      streamed(false),
		"tools":       whole(tools),
		"streamTools": streamed(true),
		"structured":  structured,
	}, func(err error) (int, string) {
		var refused *openai.Error
		if errors.As(err, &refused) {
			return refused.StatusCode, refused.Message
		}
		return 0, ""
	})
}
