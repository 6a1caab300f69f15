#!/usr/bin/env bash
# What an API's error says is not in the Go error: err.Error(), %v and %+v have the status alone.
#
# Versions: github.com/openai/openai-go v1.12.0 and github.com/openai/openai-go/v3 v3.99.0 (Go modules).
# Behaviour: the SDK's error for a refused request had the method, the address, the status and the body as its text. In 3.99
#   it is "OpenAI API error: " with the status, however it is formatted, the value as well as the pointer, and in slog too,
#   because bodies may have secrets. A program that logs or wraps `err`, as all do, upgrades without a word of the compiler
#   and loses which model was unknown, which parameter was wrong and the request's id. The fields `Message`, `Code` and
#   `Param` of *openai.Error, by errors.As, still have them.
# Seen on 2026-11-30:
#   v1.12.0: %v has the words yes, %+v yes, Message yes
#   v3.99.0: %v has the words no, %+v no, Message yes
#   v3.99.0 says: OpenAI API error: 404 Not Found
# Needs go and the public module proxy; GOPATH names a module cache to use instead of a new one. Exits 1 when it no longer holds.
set -euo pipefail

folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"

cat >go.mod <<'MOD'
module finding
go 1.24
require (
	github.com/openai/openai-go v1.12.0
	github.com/openai/openai-go/v3 v3.99.0
)
MOD
cat >main.go <<'GO'
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	v1 "github.com/openai/openai-go"
	v1option "github.com/openai/openai-go/option"
	v3 "github.com/openai/openai-go/v3"
	v3option "github.com/openai/openai-go/v3/option"
)

const words = "there is no model like this"

func word(text string) string {
	if strings.Contains(text, words) {
		return "yes"
	}
	return "no"
}

func say(version string, err error, message string) {
	fmt.Printf("%s: %%v has the words %s, %%+v %s, Message %s\n",
		version, word(fmt.Sprintf("%v", err)), word(fmt.Sprintf("%+v", err)), word(message))
}

func main() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("content-type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"error":{"message":"`+words+`","type":"invalid_request_error","code":"model_not_found","param":"model"}}`)
	}))
	defer server.Close()
	ctx := context.Background()

	old := v1.NewClient(v1option.WithBaseURL(server.URL), v1option.WithAPIKey("unused"))
	_, err := old.Chat.Completions.New(ctx, v1.ChatCompletionNewParams{
		Model: "m", Messages: []v1.ChatCompletionMessageParamUnion{v1.UserMessage("hi")},
	})
	var oldError *v1.Error
	errors.As(err, &oldError)
	say("v1.12.0", err, oldError.Message)

	new := v3.NewClient(v3option.WithBaseURL(server.URL), v3option.WithAPIKey("unused"))
	_, err = new.Chat.Completions.New(ctx, v3.ChatCompletionNewParams{
		Model: "m", Messages: []v3.ChatCompletionMessageParamUnion{v3.UserMessage("hi")},
	})
	var newError *v3.Error
	errors.As(err, &newError)
	say("v3.99.0", err, newError.Message)
	fmt.Println("v3.99.0 says:", err)
}
GO
export GOPATH="${GOPATH:-$folder/gopath}" GOFLAGS=-mod=mod
go build -o finding . 2>build.log || { cat build.log; exit 1; }
./finding | tee seen

diff - seen <<'SEEN'
v1.12.0: %v has the words yes, %+v yes, Message yes
v3.99.0: %v has the words no, %+v no, Message yes
v3.99.0 says: OpenAI API error: 404 Not Found
SEEN
