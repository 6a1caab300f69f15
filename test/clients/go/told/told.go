// Package told is what the drivers share: they read a call a line, and write what came of it, a line each.
//
//	driver BASE_URL < calls > results
package told

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

const Question = "What is the weather in Paris? Use the tool."

var Parameters = map[string]any{
	"type":       "object",
	"properties": map[string]any{"city": map[string]any{"type": "string"}},
	"required":   []string{"city"},
}

var Schema = map[string]any{
	"type":                 "object",
	"properties":           map[string]any{"city": map[string]any{"type": "string"}},
	"required":             []string{"city"},
	"additionalProperties": false,
}

type Call struct {
	Case  string `json:"case"`
	Do    string `json:"do"`
	Model string `json:"model"`
	Key   string `json:"key"`
	Usage bool   `json:"usage"`
}

type Called struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Arguments any    `json:"arguments"`
}

type Usage struct {
	Input  int64 `json:"input"`
	Output int64 `json:"output"`
}

type Failure struct {
	Class   string `json:"class"`
	Status  int    `json:"status,omitempty"`
	Message string `json:"message"`
}

type Got struct {
	Case   string   `json:"case"`
	Text   string   `json:"text"`
	Finish string   `json:"finish,omitempty"`
	Usage  *Usage   `json:"usage,omitempty"`
	Calls  []Called `json:"calls,omitempty"`
	Value  any      `json:"value,omitempty"`
	Error  *Failure `json:"error,omitempty"`
}

// JSON reads a text, and keeps it where it is none.
func JSON(text string) any {
	var value any
	if json.Unmarshal([]byte(text), &value) != nil {
		return text
	}
	return value
}

// Run answers each call. What the library's own type of an error shows is its status, 0 for none, and its words, where they
// are not those of Error().
func Run(operations map[string]func(base string, call Call) (Got, error), shown func(error) (status int, words string)) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var call Call
		if err := json.Unmarshal(lines.Bytes(), &call); err != nil {
			panic(err)
		}
		got, err := operations[call.Do](os.Args[1], call)
		got.Case = call.Case
		if err != nil {
			status, words := shown(err)
			if words == "" {
				words = err.Error()
			}
			got.Error = &Failure{Class: fmt.Sprintf("%T", err), Status: status, Message: words}
		}
		line, err := json.Marshal(got)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(line))
	}
}
