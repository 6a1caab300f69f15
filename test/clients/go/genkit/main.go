package main

import (
	"context"
	"errors"

	"conduit.test/told"
	"github.com/firebase/genkit/go/ai"
	"github.com/firebase/genkit/go/genkit"
	"github.com/firebase/genkit/go/plugins/compat_oai"
	"github.com/openai/openai-go"
	"github.com/openai/openai-go/option"
)

type city struct {
	City string `json:"city"`
}

func generate(options ...ai.GenerateOption) func(string, told.Call) (told.Got, error) {
	return func(base string, call told.Call) (told.Got, error) {
		ctx := context.Background()
		plugin := &compat_oai.OpenAICompatible{
			Provider: "conduit",
			Opts:     []option.RequestOption{option.WithBaseURL(base), option.WithAPIKey(call.Key), option.WithMaxRetries(0)},
		}
		g := genkit.Init(ctx, genkit.WithPlugins(plugin))
		model := plugin.DefineModel("conduit", call.Model, ai.ModelOptions{
			Label:    call.Model,
			Supports: &ai.ModelSupports{Multiturn: true, Tools: true, SystemRole: true, Constrained: ai.ConstrainedSupportAll},
		})
		all := append([]ai.GenerateOption{ai.WithModel(model), ai.WithPrompt(told.Question)}, options...)
		if call.Usage {
			config := openai.ChatCompletionNewParams{StreamOptions: openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)}}
			all = append(all, ai.WithConfig(&config))
		}
		if call.Do == "tools" || call.Do == "streamTools" {
			weather := genkit.DefineTool(g, "get_weather", "The weather", func(*ai.ToolContext, city) (string, error) { return "sunny", nil })
			all = append(all, ai.WithTools(weather), ai.WithReturnToolRequests(true))
		}
		answer, err := genkit.Generate(ctx, g, all...)
		if err != nil {
			return told.Got{}, err
		}
		got := told.Got{Text: answer.Text(), Finish: string(answer.FinishReason)}
		if answer.Usage != nil {
			got.Usage = &told.Usage{Input: int64(answer.Usage.InputTokens), Output: int64(answer.Usage.OutputTokens)}
		}
		for _, called := range answer.ToolRequests() {
			got.Calls = append(got.Calls, told.Called{ID: called.Ref, Name: called.Name, Arguments: called.Input})
		}
		if call.Do == "structured" {
			var value city
			if err := answer.Output(&value); err != nil {
				return got, err
			}
			got.Value = value
		}
		return got, nil
	}
}

func main() {
	streaming := ai.WithStreaming(func(context.Context, *ai.ModelResponseChunk) error { return nil })
	told.Run(map[string]func(string, told.Call) (told.Got, error){
		"text":        generate(),
		"stream":      generate(streaming),
		"tools":       generate(),
		"streamTools": generate(streaming),
		"structured":  generate(ai.WithOutputType(city{})),
	}, func(err error) (int, string) {
		var refused *openai.Error
		if errors.As(err, &refused) {
			return refused.StatusCode, ""
		}
		return 0, ""
	})
}
