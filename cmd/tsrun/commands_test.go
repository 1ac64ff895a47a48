package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write docs/commands.md anew")

// TestCommandsPageIsFresh: docs/commands.md has every command and every flag, and no
// others.
func TestCommandsPageIsFresh(t *testing.T) {
	const page = "../../docs/commands.md"
	want := commandsPage()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("(?m)^(## .*|\\| `[^`]*`)")
	has, should := names.FindAllString(string(got), -1), names.FindAllString(want, -1)
	if diff := cmp.Diff(should, has); diff != "" {
		t.Errorf("%s has other commands or flags than the program (- the program, + the page); write it anew with go test ./cmd/tsrun -run Fresh -update\n%s", page, diff)
	}
}

func commandsPage() string {
	var b strings.Builder
	b.WriteString(`# Every command and every flag

Written by the program: what ` + "`--help`" + ` says, without the examples. ` + "`tsrun man DIR`" + ` writes the same as manual pages. Every command also takes
` + "`--help`" + `.
`)
	for _, c := range commandsBelow(newRootCommand()) {
		words := strings.Fields(c.UseLine())
		if i := slices.Index(words, "[flags]"); i >= 0 {
			words = slices.Delete(words, i, i+1)
		}
		fmt.Fprintf(&b, "\n## %s\n\n    %s\n\n%s.\n", c.CommandPath(), strings.Join(words, " "), upperFirst(c.Short))
		if c.DisableFlagParsing { // another program takes its flags, and only its text knows them
			fmt.Fprintf(&b, "\n```text\n%s\n```\n", c.Long)
		}
		b.WriteString(flagsTable(c))
	}
	return b.String()
}

// flagsTable is a line for each flag of a command, or nothing.
func flagsTable(c *cobra.Command) string {
	var b strings.Builder
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		value, text := pflag.UnquoteUsage(f)
		name := strings.TrimSpace("--" + f.Name + " " + value)
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" {
			text += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(text))
	})
	if b.Len() == 0 {
		return ""
	}
	return "\n| flag | does |\n| --- | --- |\n" + b.String()
}

func upperFirst(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
