package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tsrun/pipeline/event"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
	"tsrun/sdk"
	"tsrun/sdk/quantity"
)

// codeNames are the codes of refusals whose errors have none.
var codeNames = map[int]string{exitUsage: "usage", exitNotGood: "refused", exitRecipe: "recipe", exitPreflight: "preflight", exitPlugin: "plugin",
	exitVerify: "verify", exitInterrupted: "interrupted"}

// mistakesError is of a recipe whose mistakes a program is told, all in one event.
type mistakesError struct{ problems recipe.Problems }

func (m *mistakesError) Error() string { return m.problems.Error() }

// tellProgram writes to a program that reads --json why a command ends: one event. What
// people are told stands on standard error all the same.
func tellProgram(out io.Writer, said error, code int) error {
	return json.NewEncoder(out).Encode(event.Stamped{Time: time.Now(), Event: refusalOf(said, code)})
}

func refusalOf(said error, code int) event.Problem {
	p := event.Problem{Message: text.PrintableLines(said.Error()), ExitCode: code, Code: cmp.Or(codeNames[code], "failed")}
	var m *mistakesError
	var f *sdk.Failure
	switch {
	case errors.As(said, &m):
		p.Message = fmt.Sprintf("the recipe has %s; nothing was started", quantity.Counted(len(m.problems), "mistake"))
		p.Mistakes, p.Hint = m.problems, "correct what mistakes names; tsrun check RECIPE shows each in its line"
		return p
	case errors.As(said, &f):
		p.Code, p.Field, p.Hint = cmp.Or(f.Code, p.Code), f.Field, text.PrintableLines(f.Hint)
		p.Message = strings.TrimSuffix(p.Message, "; "+p.Hint)
	}
	if why := run.Circumstances(said); why != "" && !strings.HasSuffix(p.Message, why) {
		p.Message += "; " + why
	}
	return p
}

// wantsJSON says whether a program reads what a command prints, also where its flags could
// not be understood.
func wantsJSON(c *cobra.Command, args []string) bool {
	if c == nil || c.Flags().Lookup("json") == nil {
		return false
	}
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	asked, err := c.Flags().GetBool("json")
	return err == nil && asked || slices.Contains(args, "--json")
}
