package main

import (
	"context"

	"conduit.test/told"
	"github.com/tmc/langchaingo/llms"
	"github.com/tmc/langchaingo/llms/openai"
)

var messages = []llms.MessageContent{llms.TextParts(llms.ChatMessageTypeHuman, told.Question)}

var tools = llms.WithTools([]llms.Tool{{
	Type:     "function",
	Function: &llms.FunctionDefinition{Name: "get_weather", Description: "The weather", Parameters: told.Parameters},
}})

func model(base string, call told.Call, more ...openai.Option) (*openai.LLM, error) {
	return openai.New(append(more, openai.WithBaseURL(base), openai.WithToken(call.Key), openai.WithModel(call.Model))...)
}

func answered(llm *openai.LLM, options ...llms.CallOption) (told.Got, error) {
	var got told.Got
	answer, err := llm.GenerateContent(context.Background(), messages, options...)
	if err != nil {
		return got, err
	}
	choice := answer.Choices[0]
	got.Text, got.Finish = choice.Content, choice.StopReason
	input, _ := choice.GenerationInfo["PromptTokens"].(int)
	output, _ := choice.GenerationInfo["CompletionTokens"].(int)
	got.Usage = &told.Usage{Input: int64(input), Output: int64(output)}
	for _, called := range choice.ToolCalls {
		got.Calls = append(got.Calls, told.Called{
			ID: called.ID, Name: called.FunctionCall.Name, Arguments: told.JSON(called.FunctionCall.Arguments),
		})
	}
	return got, nil
}

func generate(options ...llms.CallOption) func(string, told.Call) (told.Got, error) {
	return func(base string, call told.Call) (told.Got, error) {
		llm, err := model(base, call)
		if err != nil {
			return told.Got{}, err
		}
		return answered(llm, options...)
	}
}

var ignoring = llms.WithStreamingFunc(func(context.Context, []byte) error { return nil })

func structured(base string, call told.Call) (told.Got, error) {
	llm, err := model(base, call, openai.WithResponseFormat(&openai.ResponseFormat{
		Type: "json_schema",
		JSONSchema: &openai.ResponseFormatJSONSchema{Name: "city", Strict: true, Schema: &openai.ResponseFormatJSONSchemaProperty{
			Type:       "object",
			Properties: map[string]*openai.ResponseFormatJSONSchemaProperty{"city": {Type: "string"}},
			Required:   []string{"city"},
		}},
	}))
	if err != nil {
		return told.Got{}, err
	}
	got, err := answered(llm)
	got.Value = told.JSON(got.Text)
	return got, err
}

func main() {
	told.Run(map[string]func(string, told.Call) (told.Got, error){
		"text":        generate(),
		"stream":      generate(ignoring),
		"tools":       generate(tools),
		"streamTools": generate(tools, ignoring),
		"structured":  structured,
	}, func(error) (int, string) { return 0, "" })
}
