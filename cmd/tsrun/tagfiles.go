package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"tsrun/pipeline/tag"
	"tsrun/pipeline/tagfile"
)

// tagFiles are the flags by which align, coincidences and histogram find two
// streams of tags, A and B, in one or two files.
type tagFiles struct {
	channel string
	format  string
}

var tagFilesHelp = `

A and B are files of tags; the name tells the format, or --format does. From a
file of several channels --channel takes one; --channel N,M takes N for A and M
for B, which may then be one and the same file.

` + formatsHelp()

// formatsHelp is a line for each format of tag files.
func formatsHelp() string {
	var b strings.Builder
	b.WriteString("Formats of tag files:\n")
	for _, f := range tagfile.Table() {
		fmt.Fprintf(&b, "  %-8s %-14s %s\n", f.Name, strings.Join(f.Suffixes, " "), f.About)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (f *tagFiles) add(c *cobra.Command) {
	c.Flags().StringVar(&f.channel, "channel", "", "channel of the files: N, or N,M for A and B")
	c.Flags().StringVar(&f.format, "format", "", "format of the files where their names do not tell: "+strings.Join(tagfile.Formats(), ", "))
	c.Args = cobra.RangeArgs(1, 2)
}

// source is where one stream is to be read from.
type source struct {
	path    string
	format  string
	channel int
}

// sources says where A and B are.
func (f *tagFiles) sources(args []string) (a, b source, err error) {
	a = source{path: args[0], format: f.format, channel: tagfile.OnlyChannel}
	b = a
	b.path = args[len(args)-1]
	first, second, two := strings.Cut(f.channel, ",")
	if !two {
		second = first
	}
	if len(args) == 1 && !two {
		return a, b, &exitError{exitUsage, fmt.Errorf("%s alone gives only one stream; name a second file, or its two channels: --channel N,M", args[0])}
	}
	if f.channel == "" {
		return a, b, nil
	}
	if a.channel, err = channelNumber(first); err == nil {
		b.channel, err = channelNumber(second)
	}
	return a, b, err
}

func channelNumber(text string) (int, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
	if err != nil {
		return 0, &exitError{exitUsage, fmt.Errorf("--channel %q is no number of a channel; write N, or N,M for A and B", text)}
	}
	return int(n), nil
}

func (s source) open() (tagfile.ReadCloser, error) {
	r, _, err := tagfile.Open(s.path, s.format, s.channel)
	if err != nil {
		return nil, &exitError{exitOther, err}
	}
	return r, nil
}

// openBoth opens A and B for reading piece by piece. closeBoth is never nil.
func (f *tagFiles) openBoth(args []string) (a, b tag.Reader, closeBoth func(), err error) {
	from, to, err := f.sources(args)
	if err != nil {
		return nil, nil, func() {}, err
	}
	ra, err := from.open()
	if err != nil {
		return nil, nil, func() {}, err
	}
	rb, err := to.open()
	if err != nil {
		ra.Close()
		return nil, nil, func() {}, err
	}
	return ra, rb, func() { ra.Close(); rb.Close() }, nil
}

// readBoth reads all of A and B.
func (f *tagFiles) readBoth(args []string) (a, b []uint64, err error) {
	from, to, err := f.sources(args)
	if err != nil {
		return nil, nil, err
	}
	if a, err = tagfile.ReadAll(from.path, from.format, from.channel); err == nil {
		b, err = tagfile.ReadAll(to.path, to.format, to.channel)
	}
	if err != nil {
		return nil, nil, &exitError{exitOther, err}
	}
	return a, b, nil
}

// withSD writes a value and its standard deviation with as many decimals as
// the deviation gives a meaning to: two digits of it.
func withSD(value, sd float64, unit string) string {
	decimals := 3
	if sd > 0 && !math.IsInf(sd, 0) {
		decimals = min(max(1-int(math.Floor(math.Log10(sd))), 0), 12)
	}
	return fmt.Sprintf("%.*f ± %.*f %s", decimals, value, decimals, sd, unit)
}
