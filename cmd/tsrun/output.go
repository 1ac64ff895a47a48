package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
)

// watched is a writer that remembers its first error: a result that could not be
// written is no success, whoever wrote it.
type watched struct {
	to     io.Writer
	failed error
	lock   sync.Mutex
}

// standardOutput takes the results of every command.
var standardOutput = &watched{to: os.Stdout}

func (w *watched) Write(b []byte) (int, error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	n, err := w.to.Write(b)
	if err != nil && w.failed == nil {
		w.failed = fmt.Errorf("write standard output: %w", err)
	}
	return n, err
}

// output is where and in which form a command gives its answer.
type output struct {
	asCSV, asJSON bool
	path          string // - is standard output
}

func (o *output) add(c *cobra.Command, columns, keys string) {
	c.Flags().BoolVar(&o.asCSV, "csv", false, "a table: one line # about it, and a line "+columns)
	c.Flags().BoolVar(&o.asJSON, "json", false, "one JSON object: "+keys)
	c.Flags().StringVarP(&o.path, "out", "o", "-",
		"write the answer to this `FILE`, whole or not at all, as --json or --csv say, or else its name (.json, .csv); - is standard output")
}

// form says which form is asked for, by a flag or by the name of the file.
func (o output) form() (asCSV, asJSON bool) {
	if !o.asCSV && !o.asJSON {
		suffix := strings.ToLower(filepath.Ext(o.path))
		return suffix == ".csv", suffix == ".json"
	}
	return o.asCSV, o.asJSON
}

// spare refuses to write an answer over what it is made of: a file that is read, or
// one of a run that is.
func spare(out string, read []string) error {
	there, err := os.Stat(out)
	if err != nil {
		return nil // nothing is there to be lost
	}
	for _, path := range read {
		info, err := os.Stat(path)
		switch {
		case err != nil: // a channel of a run, or it will be missed
		case os.SameFile(there, info):
			return usage(fmt.Sprintf("--out %s would replace what is read; name another file", out))
		case info.IsDir() && isOfRun(out, path):
			return usage(fmt.Sprintf("--out %s would replace a file of the run; name another file", out))
		}
	}
	return nil
}

// isOfRun says whether a file lies in a directory that is a run.
func isOfRun(path, dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, run.ManifestFile)); err != nil {
		return false
	}
	path, errPath := filepath.EvalSymlinks(path)
	dir, errDir := filepath.EvalSymlinks(dir)
	path, errAbs := filepath.Abs(path)
	dir, errAbsDir := filepath.Abs(dir)
	within, errRel := filepath.Rel(dir, path)
	return errors.Join(errPath, errDir, errAbs, errAbsDir, errRel) == nil && filepath.IsLocal(within)
}

// print writes an answer as JSON, or by the function of the form that is asked
// for. A table begins with the line that says what it is about.
func (o output) print(c *cobra.Command, about string, answer any, csv, words func(io.Writer) error) error {
	form := words
	switch asCSV, asJSON := o.form(); {
	case asJSON:
		form = func(out io.Writer) error { return json.NewEncoder(out).Encode(answer) }
	case asCSV:
		form = func(out io.Writer) error {
			if _, err := io.WriteString(out, stage.Heading(about)); err != nil {
				return err
			}
			return csv(out)
		}
	}
	var err error
	if o.path == "-" {
		out := bufio.NewWriter(c.OutOrStdout())
		if err = form(out); err == nil {
			err = out.Flush()
		}
	} else {
		err = run.Atomically(o.path, form)
	}
	return err
}

// about says of what a table is, and where its tags are from.
func about(c *cobra.Command, of stage.Origin) string {
	return of.About(c.CommandPath() + " of " + strings.Join(c.Flags().Args(), " ") + "; times in ps")
}

// underHeading writes the columns of a table and then its lines.
func underHeading(out io.Writer, columns string, lines func(io.Writer) error) error {
	if _, err := fmt.Fprintln(out, columns); err != nil {
		return err
	}
	return lines(out)
}
