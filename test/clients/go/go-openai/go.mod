module conduit.test/go-openai

go 1.24

require (
	conduit.test/told v0.0.0
	github.com/sashabaranov/go-openai v1.43.0
)

replace conduit.test/told => ../told
