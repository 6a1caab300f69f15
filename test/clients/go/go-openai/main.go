package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"conduit.test/told"
	openai "github.com/sashabaranov/go-openai"
)

func client(base string, call told.Call) *openai.Client {
	config := openai.DefaultConfig(call.Key)
	config.BaseURL = base
	return openai.NewClientWithConfig(config)
}

func request(call told.Call, withTools bool) openai.ChatCompletionRequest {
	request := openai.ChatCompletionRequest{
		Model:    call.Model,
		Messages: []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleUser, Content: told.Question}},
	}
	if withTools {
		request.Tools = []openai.Tool{{
			Type:     openai.ToolTypeFunction,
			Function: &openai.FunctionDefinition{Name: "get_weather", Parameters: told.Parameters},
		}}
	}
	return request
}

func called(calls []openai.ToolCall) []told.Called {
	var all []told.Called
	for _, call := range calls {
		all = append(all, told.Called{ID: call.ID, Name: call.Function.Name, Arguments: told.JSON(call.Function.Arguments)})
	}
	return all
}

func answered(base string, call told.Call, request openai.ChatCompletionRequest) (told.Got, error) {
	answer, err := client(base, call).CreateChatCompletion(context.Background(), request)
	if err != nil {
		return told.Got{}, err
	}
	choice := answer.Choices[0]
	return told.Got{
		Text:   choice.Message.Content,
		Finish: string(choice.FinishReason),
		Usage:  &told.Usage{Input: int64(answer.Usage.PromptTokens), Output: int64(answer.Usage.CompletionTokens)},
		Calls:  called(choice.Message.ToolCalls),
	}, nil
}

func whole(withTools bool) func(string, told.Call) (told.Got, error) {
	return func(base string, call told.Call) (told.Got, error) {
		return answered(base, call, request(call, withTools))
	}
}

func streamed(withTools bool) func(string, told.Call) (told.Got, error) {
	return func(base string, call told.Call) (told.Got, error) {
		var got told.Got
		request := request(call, withTools)
		if call.Usage {
			request.StreamOptions = &openai.StreamOptions{IncludeUsage: true}
		}
		stream, err := client(base, call).CreateChatCompletionStream(context.Background(), request)
		if err != nil {
			return got, err
		}
		defer stream.Close()
		var calls []openai.ToolCall
		for {
			chunk, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				got.Calls = called(calls)
				return got, nil
			}
			if err != nil {
				return got, err
			}
			if chunk.Usage != nil {
				got.Usage = &told.Usage{Input: int64(chunk.Usage.PromptTokens), Output: int64(chunk.Usage.CompletionTokens)}
			}
			for _, choice := range chunk.Choices {
				got.Text += choice.Delta.Content
				if choice.FinishReason != "" {
					got.Finish = string(choice.FinishReason)
				}
				for _, part := range choice.Delta.ToolCalls {
					for len(calls) <= *part.Index {
						calls = append(calls, openai.ToolCall{})
					}
					call := &calls[*part.Index]
					call.ID += part.ID
					call.Function.Name += part.Function.Name
					call.Function.Arguments += part.Function.Arguments
				}
			}
		}
	}
}

func structured(base string, call told.Call) (told.Got, error) {
	schema, err := json.Marshal(told.Schema)
	if err != nil {
		return told.Got{}, err
	}
	request := request(call, false)
	request.ResponseFormat = &openai.ChatCompletionResponseFormat{
		Type:       openai.ChatCompletionResponseFormatTypeJSONSchema,
		JSONSchema: &openai.ChatCompletionResponseFormatJSONSchema{Name: "city", Strict: true, Schema: json.RawMessage(schema)},
	}
	got, err := answered(base, call, request)
	got.Value = told.JSON(got.Text)
	return got, err
}

func main() {
	told.Run(map[string]func(string, told.Call) (told.Got, error){
		"text":        whole(false),
		"stream":      streamed(false),
		"tools":       whole(true),
		"streamTools": streamed(true),
		"structured":  structured,
	}, func(err error) (int, string) {
		var api *openai.APIError
		if errors.As(err, &api) {
			return api.HTTPStatusCode, ""
		}
		var request *openai.RequestError
		if errors.As(err, &request) {
			return request.HTTPStatusCode, ""
		}
		return 0, ""
	})
}
