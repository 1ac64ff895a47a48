package main

import (
	"io"

	"github.com/spf13/cobra"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/stage"
)

// countCommands are those that count tags of channels as stages do.
func countCommands() (all []*cobra.Command) {
	for _, counter := range stage.Counters() {
		all = append(all, newCountCommand(counter))
	}
	return all
}

type countFlags struct {
	channelFiles
	output
}

func newCountCommand(counter stage.Counter) *cobra.Command {
	var f countFlags
	files := tagFilesHelp
	if counter.Most != 2 {
		files = manyFilesHelp
	}
	c := &cobra.Command{
		Use:     counter.Use,
		Short:   counter.Short,
		Long:    counter.Long + clocksHelp + files,
		Example: counter.Example,
		RunE:    func(c *cobra.Command, args []string) error { return runCount(c, args, f, counter) },
	}
	f.channelFiles.add(c, counter.Most)
	for _, flag := range counter.Flags {
		c.Flags().TextVar(flag.Value, flag.Name, flag.Value, flag.Usage)
		if flag.Required {
			required(c, flag.Name)
		}
	}
	f.output.add(c, counter.Command.Columns, counter.Keys)
	return c
}

// required marks a flag, which the command has.
func required(c *cobra.Command, name string) {
	if err := c.MarkFlagRequired(name); err != nil {
		panic(err) // the flags are those of the command
	}
}

func runCount(c *cobra.Command, args []string, f countFlags, counter stage.Counter) error {
	if err := counter.Check(); err != nil {
		return &exitError{exitUsage, err}
	}
	args, err := orAll(args, counter.Least, counter.Most)
	if err != nil {
		return err
	}
	channels, origin, done, err := f.channels(args, counter.Least, counter.Most, counter.AnyClock)
	defer done()
	if err != nil {
		return err
	}
	if asCSV, _ := f.form(); asCSV { // a line as it is found: there may be very many
		return f.print(c, aboutThese(c, args, origin), nil, func(out io.Writer) error { return writeLines(out, channels, counter) }, nil)
	}
	answer, err := counter.Count(channels, nil)
	if err != nil {
		return err
	}
	return f.print(c, aboutThese(c, args, origin), answer.JSON, nil, answer.Words)
}

// writeLines counts into a table.
func writeLines(out io.Writer, channels []correlate.Channel, counter stage.Counter) error {
	var letters []string
	for i := range channels {
		letters = append(letters, stage.LetterOf(i))
	}
	return underHeading(out, counter.Columns(letters), func(out io.Writer) error {
		_, err := counter.Count(channels, out)
		return err
	})
}
