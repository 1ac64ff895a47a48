package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"tsrun/sdk/tag"
	"tsrun/sdk/tagfile"
)

// tagFiles are the flags by which commands find channels of tags in files. All
// name them one way: files in order, and --channel. Channels are called A, B, C
// in that order.
type tagFiles struct {
	channel string
	format  string
}

const tagFilesHelp = `

With a run directory first, A and B are channels of the run, as alice.signal, each
with all its segments.

A and B are files of tags, - is standard input; the name tells the format, or
--format does. From a
file of several channels --channel takes one; --channel N,M takes N for A and M
for B, which may then be one and the same file. m1 to m4 are the marker inputs of
a PicoQuant file.

The formats of tag files: tsrun convert --help.`

const manyFilesHelp = `

With a run directory first, the others are channels of the run, as alice.signal,
each with all its segments.

Each file gives a channel: the first A, the second B, and so on; - is standard
input. The name tells the format, or --format does. From files of several channels --channel takes one
for all, or N,M,... one for each. A single file with --channel N,M,... gives as
many channels.

The formats of tag files: tsrun convert --help.`

// formatsHelp is a line for each format of tag files.
func formatsHelp() string {
	var b strings.Builder
	b.WriteString("Formats of tag files:\n")
	for _, f := range tagfile.Table() {
		fmt.Fprintf(&b, "  %-8s %-14s %s\n", f.Name, strings.Join(f.Suffixes, " "), f.About)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// add registers the flags of a command that takes two channels.
func (f *tagFiles) add(c *cobra.Command) { f.addMany(c, 2) }

// addMany registers the flags of a command that takes up to so many files.
func (f *tagFiles) addMany(c *cobra.Command, most int) {
	c.Flags().StringVar(&f.channel, "channel", "", "channel of the files: `N`, or one for each of A, B, ...: N,M,...")
	c.Flags().StringVar(&f.format, "format", "", "`FORMAT` of the files where their names do not tell: "+strings.Join(tagfile.Formats(), ", "))
	c.Args = func(c *cobra.Command, args []string) error {
		if run, _ := ofRun(args); run != "" {
			return arguments(1, most+1, fmt.Sprintf("a run and up to %d of its channels", most))(c, args)
		}
		return arguments(1, most, filesOf(most))(c, args)
	}
	c.ValidArgsFunction = completeChannels
}

// filesOf says in words how many files a command takes.
func filesOf(most int) string {
	if most == 2 {
		return "one file or two"
	}
	return fmt.Sprintf("up to %d files", most)
}

// source is where one stream is to be read from.
type source struct {
	path    string
	format  string
	channel int
}

// sources says where the channels are, A first: at least so many.
func (f *tagFiles) sources(args []string, least int) (list []source, err error) {
	for _, path := range args {
		if err := runForFile(path); err != nil {
			return nil, err
		}
	}
	numbers := []int{tagfile.OnlyChannel}
	if f.channel != "" {
		numbers = nil
		for _, text := range strings.Split(f.channel, ",") {
			n, err := channelNumber(text)
			if err != nil {
				return nil, err
			}
			numbers = append(numbers, n)
		}
	}
	paths := args
	switch {
	case len(args) == 1 && len(numbers) > 1:
		paths = slices.Repeat(args, len(numbers))
	case len(numbers) == 1:
		numbers = slices.Repeat(numbers, len(args))
	case len(numbers) != len(args):
		return nil, usage(fmt.Sprintf("--channel %s names %d channels of %d files; name one for all, or one for each", f.channel, len(numbers), len(args)))
	}
	if len(paths) < least {
		if _, err := os.Stat(args[0]); err != nil && args[0] != "-" {
			return nil, fmt.Errorf("read what is counted: %w", err)
		}
		return nil, usage(fmt.Sprintf("%s alone gives only one stream; name a second file, or its two channels: --channel N,M", args[0]))
	}
	for i, path := range paths {
		list = append(list, source{path: path, format: f.format, channel: numbers[i]})
	}
	return list, nil
}

// both is sources of exactly two channels.
func (f *tagFiles) both(args []string) (a, b source, err error) {
	list, err := f.sources(args, 2)
	if err == nil && len(list) != 2 {
		err = usage(fmt.Sprintf("--channel %s names %d channels; this command takes two", f.channel, len(list)))
	}
	if err != nil {
		return a, b, err
	}
	return list[0], list[1], nil
}

func channelNumber(text string) (int, error) {
	text = strings.TrimSpace(text)
	if input, err := strconv.Atoi(strings.TrimPrefix(text, "m")); err == nil && text[0] == 'm' && input >= 1 && input <= 4 {
		return tagfile.MarkerChannel(input), nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n == tagfile.OnlyChannel {
		return 0, &exitError{exitUsage, fmt.Errorf("--channel %q is no number of a channel, nor m1 to m4, the marker inputs of a PicoQuant file; write N, or N,M,... for several", text)}
	}
	return int(n), nil
}

// raiseOf is by how much the tags of all channels are raised, because those of
// one begin below 0.
func raiseOf(list []source) (uint64, error) {
	for _, s := range list {
		below, err := tagfile.BeginsBelowZero(s.path, s.format, s.channel)
		if err != nil {
			return 0, err
		}
		if below {
			return tagfile.Raise, nil
		}
	}
	return 0, nil
}

// open opens channels for reading piece by piece. closeAll is never nil.
func open(list []source) (streams []tag.Reader, closeAll func(), err error) {
	return openRaised(list, 0)
}

func openRaised(list []source, raise uint64) (streams []tag.Reader, closeAll func(), err error) {
	var opened []tagfile.FileReader
	closeAll = func() {
		said := map[string]bool{}
		for i, r := range opened {
			for _, f := range r.Info().Facts {
				if remark := list[i].path + ": " + f.Says; f.Says != "" && !said[remark] {
					said[remark] = true
					fmt.Fprintln(os.Stderr, "note:", remark)
				}
			}
			r.Close()
		}
	}
	for _, s := range list {
		r, _, err := tagfile.OpenRaised(s.path, s.format, s.channel, raise)
		if err != nil {
			return streams, closeAll, err
		}
		opened, streams = append(opened, r), append(streams, r)
	}
	return streams, closeAll, nil
}
