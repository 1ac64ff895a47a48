package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tsrun/pipeline/run"
)

// exitMeanings say each exit code in a line, for the manual pages.
var exitMeanings = []struct {
	code  int
	means string
}{
	{exitGood, "the run is GOOD, or the command did what it was asked"},
	{exitOther, "something else failed; the message says what"},
	{exitUsage, "the command line cannot be understood"},
	{exitNotGood, "the run is kept, but INCOMPLETE or TAINTED; or there is no answer but a reason"},
	{exitRecipe, "the recipe has mistakes"},
	{exitPreflight, "the run could not begin"},
	{exitPlugin, "a plugin is missing, does not start or speaks another protocol"},
	{exitVerify, "bytes are not what they were"},
	{exitInterrupted, "the user ended it; what was recorded until then is kept"},
}

// manFiles are the files that a person may look for.
var manFiles = [][2]string{
	{"runs/DATE-NAME", "a run directory: recipe, raw files, results, log.jsonl, manifest.json, SHA256SUMS"},
	{"runs/latest", "the last run that began"},
	{"plugins/, lib/tsrun/plugins/", "drivers and sinks, beside tsrun or beside its bin directory, each with its NAME.json"},
}

func newManCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "write the manual pages of all commands into a directory",
		Long: `man writes a manual page for tsrun and for each command into a directory, which it
makes. man -l DIR/tsrun.1 shows one; make install puts them where man finds them.`,
		Example: `  tsrun man man1
  man -l man1/tsrun-align.1`,
		Args: arguments(1, 1, "one directory"),
		RunE: func(c *cobra.Command, args []string) error {
			err := os.MkdirAll(args[0], 0o755)
			for _, each := range commandsBelow(c.Root()) {
				if err == nil {
					err = run.WriteAtomic(filepath.Join(args[0], pageName(each)+".1"), []byte(manPage(each)))
				}
			}
			return err
		},
	}
}

// commandsBelow lists a command and all below it that have pages.
func commandsBelow(c *cobra.Command) []*cobra.Command {
	list := []*cobra.Command{c}
	for _, below := range c.Commands() {
		if below.IsAvailableCommand() && below.Name() != "help" {
			list = append(list, commandsBelow(below)...)
		}
	}
	return list
}

func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// manPage is the manual page of a command, in the language of man(7).
func manPage(c *cobra.Command) string {
	var out strings.Builder
	fmt.Fprintf(&out, ".TH %q 1 \"\" %q \"tsrun\"\n", strings.ToUpper(pageName(c)), "tsrun "+version)
	out.WriteString(".ad l\n")
	fmt.Fprintf(&out, ".SH NAME\n%s \\- %s\n", roff(pageName(c)), roff(c.Short))
	fmt.Fprintf(&out, ".SH SYNOPSIS\n.B %s\n", roff(synopsis(c)))
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(&out, ".br\n.B %s COMMAND\n", roff(c.CommandPath()))
	}
	out.WriteString(".SH DESCRIPTION\n")
	paragraphs(&out, cmp.Or(c.Long, c.Short))
	if c.HasAvailableSubCommands() {
		out.WriteString(".SH COMMANDS\n")
		for _, below := range commandsBelow(c)[1:] {
			if below.Parent() == c {
				fmt.Fprintf(&out, ".TP\n.BR %s (1)\n%s\n", roff(pageName(below)), roff(below.Short))
			}
		}
	}
	out.WriteString(".SH OPTIONS\n")
	c.InitDefaultHelpFlag()
	c.Flags().VisitAll(func(f *pflag.Flag) { manOption(&out, f) })
	if c.Example != "" {
		fmt.Fprintf(&out, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(c.Example))
	}
	out.WriteString(".SH EXIT STATUS\n")
	for _, e := range exitMeanings {
		fmt.Fprintf(&out, ".TP\n.B %d\n%s\n", e.code, roff(e.means))
	}
	manEnd(&out, c)
	return out.String()
}

// manOption writes what --help says of a flag.
func manOption(out *strings.Builder, f *pflag.Flag) {
	if f.Hidden {
		return
	}
	value, text := pflag.UnquoteUsage(f)
	name := roff("--" + f.Name)
	if f.Shorthand != "" {
		name = roff("-"+f.Shorthand) + ", " + name
	}
	if value != "" {
		name += " \\fI" + roff(value) + "\\fR"
	}
	if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" {
		text += " (default " + f.DefValue + ")"
	}
	fmt.Fprintf(out, ".TP\n\\fB%s\n%s\n", strings.Replace(name, " ", "\\fR ", 1)+"\\fR", roff(text))
}

// manEnd writes where files are, what the environment does, and where to read on.
func manEnd(out *strings.Builder, c *cobra.Command) {
	out.WriteString(".SH FILES\n")
	for _, f := range manFiles {
		fmt.Fprintf(out, ".TP\n.I %s\n%s\n", roff(f[0]), roff(f[1]))
	}
	fmt.Fprintf(out, ".SH ENVIRONMENT\n.TP\n.B TSRUN_PLUGINS\n%s\n", roff("directories of plugins, with colons between"))
	out.WriteString(".SH SEE ALSO\n")
	switch {
	case c.HasParent():
		fmt.Fprintf(out, ".BR %s (1)\n", roff(pageName(c.Parent())))
	default:
		out.WriteString("the directory docs of tsrun\n")
	}
}

// paragraphs writes a text; lines that begin with spaces stay as they are.
func paragraphs(out *strings.Builder, text string) {
	asIs := false
	for line := range strings.SplitSeq(text, "\n") {
		indented := strings.HasPrefix(line, "  ")
		switch {
		case indented && !asIs:
			out.WriteString(".nf\n")
		case !indented && asIs:
			out.WriteString(".fi\n")
		}
		asIs = indented
		if line == "" {
			out.WriteString(".PP\n")
			continue
		}
		out.WriteString(roff(line) + "\n")
	}
	if asIs {
		out.WriteString(".fi\n")
	}
}

// roff writes a text so that man(7) takes none of it for its own.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", "...", "\n.", "\n\\&.", "\n'", "\n\\&'").Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}
