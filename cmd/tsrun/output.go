package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/sdk/tagfile"
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

// outputs are the flags that name a file that is written.
var outputs = []string{"out", "svg", "html"}

// spare refuses to write over what is no file of an answer: what is read, what a run
// has kept, and what is no file at all, of which a new file would take the name.
func spare(flag, out string, read []string) error {
	if out == "-" {
		return nil
	}
	if place, err := os.Stat(filepath.Dir(out)); errors.Is(err, fs.ErrNotExist) {
		return usage(fmt.Sprintf("--%s %s: there is no directory %s; make it first, or name another file", flag, out, filepath.Dir(out)))
	} else if err == nil && !place.IsDir() {
		return usage(fmt.Sprintf("--%s %s: %s is no directory; name another file", flag, out, filepath.Dir(out)))
	}
	there, err := os.Lstat(out)
	if err != nil {
		return nil // nothing is there to be lost
	}
	if !there.Mode().IsRegular() {
		return usage(fmt.Sprintf("--%s %s is %s, not a regular file, and is left as it is; name a file, or - for standard output", flag, out, tagfile.KindOf(there.Mode())))
	}
	for _, path := range read {
		if info, err := os.Stat(path); err == nil && os.SameFile(there, info) {
			return usage(fmt.Sprintf("--%s %s would replace what is read; name another file", flag, out))
		}
	}
	if dir := runAround(out); dir != "" {
		return usage(fmt.Sprintf("--%s %s would replace a file of the run in %s; name another file, as %s", flag, out, dir, filepath.Join(dir, run.NotesDir, filepath.Base(out))))
	}
	return nil
}

// runAround is the run directory that a file is kept in; "" where there is none, and
// of what a user has put into its notes.
func runAround(file string) string {
	path, err := filepath.EvalSymlinks(filepath.Dir(file))
	if err == nil {
		path, err = filepath.Abs(path)
	}
	for below := ""; err == nil; path, below = filepath.Dir(path), filepath.Base(path) {
		switch {
		case run.IsRun(path) && below != run.NotesDir:
			return path
		case run.IsRun(path), path == filepath.Dir(path):
			return ""
		}
	}
	return ""
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
		err = writeWhole(o.path, form)
	}
	return err
}

// writeWhole writes a file whole or not at all, and leaves nothing else behind where
// Ctrl-C ends the writing; a second one does not wait for a disk that stands still.
func writeWhole(path string, write func(io.Writer) error) error {
	ctx, stop := interruptible(context.Background())
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	err := run.Atomically(path, func(out io.Writer) error { return write(&endable{ctx, out}) })
	return orEnded(ctx, err)
}

// endable is a writer that takes nothing more once its context has ended.
type endable struct {
	until context.Context
	to    io.Writer
}

func (e *endable) Write(b []byte) (int, error) {
	if err := e.until.Err(); err != nil {
		return 0, err
	}
	return e.to.Write(b)
}

// about says of what a table is, and where its tags are from.
func about(c *cobra.Command, of stage.Origin) string { return aboutThese(c, c.Flags().Args(), of) }

func aboutThese(c *cobra.Command, args []string, of stage.Origin) string {
	return of.About(c.CommandPath() + " of " + strings.Join(args, " ") + "; times in ps")
}

// underHeading writes the columns of a table and then its lines.
func underHeading(out io.Writer, columns string, lines func(io.Writer) error) error {
	if _, err := fmt.Fprintln(out, columns); err != nil {
		return err
	}
	return lines(out)
}
