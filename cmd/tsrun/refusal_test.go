package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"tsrun/internal/schemas"
	"tsrun/pipeline/event"
)

// Every command that has --json tells a program why it did nothing: one event that keeps to
// its schema, with the exit code.
func TestRefusalsAreEvents(t *testing.T) {
	text, err := event.EventSchema()
	schema := schemas.Compile(t, text, err)
	silence, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	errs, out := os.Stderr, standardOutput
	defer func() { os.Stderr, standardOutput = errs, out; silence.Close() }()
	os.Stderr = silence
	t.Chdir(t.TempDir())
	commands := 0
	for _, c := range commandsBelow(newRootCommand()) {
		if c.Flags().Lookup("json") == nil {
			continue
		}
		commands++
		words := strings.Fields(c.CommandPath())[1:]
		for _, more := range [][]string{{"--json", "--no-such-flag"}, {"--no-such-flag", "--json"}, {"--json=true", "nowhere-1", "nowhere-2", "nowhere-3", "ns"}} {
			var said bytes.Buffer
			standardOutput = &watched{to: &said}
			code := execute(append(words[:len(words):len(words)], more...))
			var told event.Problem
			err := json.Unmarshal(said.Bytes(), &told)
			if code == exitGood || err != nil || strings.Count(said.String(), "\n") != 1 || told.ExitCode != code || told.Message == "" || told.Code == "" {
				t.Errorf("%s %s: exit code %d, %v\n%s", c.CommandPath(), more, code, err, said.String())
				continue
			}
			v, err := jsonschema.UnmarshalJSON(&said)
			if err == nil {
				err = schema.Validate(v)
			}
			if err != nil {
				t.Errorf("%s %s: %v", c.CommandPath(), more, err)
			}
		}
	}
	if commands < 20 {
		t.Errorf("only %d commands have --json", commands)
	}
}
