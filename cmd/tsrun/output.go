package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/spf13/cobra"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/run"
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

// output is the form in which a command prints its answer.
type output struct{ asCSV, asJSON bool }

func (o *output) add(c *cobra.Command, columns, keys string) {
	c.Flags().BoolVar(&o.asCSV, "csv", false, "print a line "+columns)
	c.Flags().BoolVar(&o.asJSON, "json", false, "print one JSON object: "+keys)
}

// addOut registers --out, which every command with it means alike.
func addOut(c *cobra.Command, path *string) {
	c.Flags().StringVarP(path, "out", "o", "-", "write the answer to this `FILE`, whole or not at all; - is standard output")
}

// print writes an answer as JSON, or by the function of the form that is asked for.
func (o output) print(c *cobra.Command, answer any, csv, words func(io.Writer) error) error {
	return o.printTo(c, "-", answer, csv, words)
}

// printTo is print to a file, whole or not at all; - is standard output.
func (o output) printTo(c *cobra.Command, path string, answer any, csv, words func(io.Writer) error) error {
	form := words
	switch {
	case o.asJSON:
		form = func(out io.Writer) error { return json.NewEncoder(out).Encode(answer) }
	case o.asCSV:
		form = csv
	}
	var err error
	if path == "-" {
		out := bufio.NewWriter(c.OutOrStdout())
		if err = form(out); err == nil {
			err = out.Flush()
		}
	} else {
		var text bytes.Buffer // answers are small beside the tags they are of
		if err = form(&text); err == nil {
			err = run.WriteAtomic(path, text.Bytes())
		}
	}
	if err != nil {
		return &exitError{exitOther, err}
	}
	return nil
}

// ofTwo counts something of two channels and prints it. An error of checked is
// one of the options.
func ofTwo[T any](c *cobra.Command, args []string, f channelFiles, o output, checked error,
	count func(a, b correlate.Channel) (T, error), csv, words func(io.Writer, T) error) error {
	if checked != nil {
		return &exitError{exitUsage, checked}
	}
	channels, done, err := f.channels(args, 2, 2)
	defer done()
	if err != nil {
		return err
	}
	answer, err := count(channels[0], channels[1])
	if err != nil {
		return &exitError{exitOther, err}
	}
	return o.print(c, answer, func(out io.Writer) error { return csv(out, answer) }, func(out io.Writer) error { return words(out, answer) })
}

// underHeading writes the columns of a table and then its lines.
func underHeading(out io.Writer, columns string, lines func(io.Writer) error) error {
	if _, err := fmt.Fprintln(out, columns); err != nil {
		return err
	}
	return lines(out)
}
